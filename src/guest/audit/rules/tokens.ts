import type { AuditRule } from '../rule.ts'

/** Tokens that say by their form whose they are. Documented examples (`...EXAMPLE`) are none. */
export const tokenRules: readonly AuditRule[] = [
  {
    id: 'aws-access-key',
    title: 'access key of AWS',
    content: {
      markers: ['AKIA', 'ASIA'],
      pattern: /(?<![A-Za-z0-9+/])A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9+/=])(?<!EXAMPLE)/y,
    },
  },
  {
    id: 'aws-secret-key',
    title: 'secret key of AWS',
    content: {
      markers: ['secret_access_key', 'SECRET_ACCESS_KEY', 'SecretAccessKey', 'secretAccessKey'],
      pattern:
        /(?:secret_?access_?key)["']?\s{0,4}[:=]\s{0,4}["']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])(?<!EXAMPLEKEY)/iy,
    },
  },
  {
    id: 'gcp-service-account',
    title: 'service account of Google Cloud',
    content: {
      markers: ['"service_account"'],
      pattern:
        /(?<="type"\s{0,4}:\s{0,4})"service_account"[^}]{0,400}"private_key"\s{0,4}:\s{0,4}"-----BEGIN[^"]{40}/y,
    },
  },
  {
    id: 'google-token',
    title: 'token or API key of Google',
    content: {
      markers: ['AIza', 'ya29.', 'GOCSPX-'],
      pattern: /(?<![\w-])(?:AIza[\w-]{35}|ya29\.[\w-]{40,}|GOCSPX-[\w-]{28})(?![\w-])/y,
    },
  },
  {
    id: 'azure-key',
    title: 'key of Azure',
    content: {
      markers: ['AccountKey=', 'SharedAccessKey='],
      pattern: /(?:AccountKey=[A-Za-z0-9+/]{86}==|SharedAccessKey=[A-Za-z0-9+/]{43}=)/y,
    },
  },
  {
    id: 'github-token',
    title: 'token of GitHub',
    content: {
      markers: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'],
      pattern: /(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})(?!\w)/y,
    },
  },
  {
    id: 'gitlab-token',
    title: 'token of GitLab',
    content: {
      markers: ['glpat-', 'gldt-', 'glrt-', 'glcbt-'],
      pattern: /(?<![\w-])gl(?:pat|dt|rt|cbt)-(?=[\w-]{0,19}\d)[\w-]{20,}/y,
    },
  },
  {
    id: 'slack-token',
    title: 'token of Slack',
    content: {
      markers: ['xoxa-', 'xoxb-', 'xoxe-', 'xoxp-', 'xoxr-', 'xoxs-', 'hooks.slack.com/services/T'],
      pattern:
        /(?:xox[abeprs]-\d{6,}-[A-Za-z0-9-]{10,}|hooks\.slack\.com\/services\/T[A-Z0-9]{7,}\/B[A-Z0-9]{7,}\/[A-Za-z0-9]{20,})/y,
    },
  },
  {
    id: 'npm-token',
    title: 'token of npm',
    content: {
      markers: ['npm_', ':_authToken=', ':_password=', '_auth='],
      pattern:
        /(?:(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)|(?:(?:(?<=\/):_authToken|(?<=\/):_password)=|(?<=^|\n)_auth=)(?!\$)[\w+/=.-]{8,})/y,
    },
  },
  {
    id: 'pypi-token',
    title: 'token of PyPI',
    content: { markers: ['pypi-AgE'], pattern: /(?<![\w-])pypi-AgE[A-Za-z0-9_-]{50,}/y },
  },
  {
    id: 'service-token',
    title: 'token of a service',
    content: {
      markers: [
        'sk_live_',
        'rk_live_',
        'dop_v1_',
        'hvs.',
        'hf_',
        'shpat_',
        'dckr_pat_',
        'SG.',
        'dapi',
        'tskey-',
      ],
      pattern:
        /(?<![\w.-])(?:[sr]k_live_[A-Za-z0-9]{24,}|dop_v1_[a-f0-9]{64}|hvs\.[\w-]{24,}|hf_(?=\w{0,33}[A-Z])[A-Za-z0-9]{34}|shpat_[a-f0-9]{32}|dckr_pat_[\w-]{27}|SG\.[\w-]{22}\.[\w-]{43}|dapi[a-f0-9]{32}|tskey-[a-z]+-\w+-\w{20,})(?![\w-])/y,
    },
  },
  {
    id: 'jwt',
    title: 'JSON web token',
    content: {
      markers: ['eyJ'],
      pattern: /(?<![\w-])eyJ[\w-]{10,600}\.eyJ[\w-]{10,2000}\.[\w-]{20,}/y,
    },
  },
  {
    id: 'docker-auth',
    title: 'password of a container registry',
    content: { markers: ['"auth"'], pattern: /"auth"\s{0,8}:\s{0,8}"[A-Za-z0-9+/]{8,}={0,2}"/y },
    where: [
      '.docker/config.json',
      '.dockercfg',
      'containers/auth.json',
      '.dockerconfigjson',
      'kubelet/config.json',
    ],
  },
]
