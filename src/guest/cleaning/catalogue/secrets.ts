import type { CleaningOperation } from '../operation.ts'

/** Keys and tokens of the machine and of what runs on it, outside homes. */
export const secretOperations: readonly CleaningOperation[] = [
  {
    id: 'tls-private-keys',
    title: 'Removes the private keys of TLS servers and of certificate clients.',
    default: true,
    risk: 'A web, mail or database server that uses one does not start before it has a new key.',
    actions: [
      {
        filesOnly: true,
        remove: [
          '/etc/ssl/private/**',
          '/etc/letsencrypt/{live,archive,keys,accounts}/**',
          '/etc/pki/tls/private/*.key',
          '/etc/{apache2,httpd,nginx,lighttpd,haproxy}/**/*.key',
          '/etc/{postfix,exim4,dovecot,ldap,openldap,slapd}/**/*.key',
          '/etc/dovecot/private/*',
          '/etc/cockpit/ws-certs.d/*.key',
        ],
      },
    ],
  },
  {
    id: 'ca-certificates',
    title: 'Removes certificates and keys of a certification authority kept on the machine.',
    default: false,
    strict: true,
    risk: 'Certificates that are meant to be in the image go too.',
    actions: [
      {
        filesOnly: true,
        remove: [
          '/etc/pki/CA/{certs,crl,newcerts}/*.crt',
          '/etc/pki/CA/private/*.key',
          '/etc/pki/tls/certs/*.crt',
        ],
        except: ['/etc/pki/tls/certs/{ca-bundle.crt,ca-bundle.trust.crt}'],
      },
    ],
  },
  {
    id: 'vpn-keys',
    title: 'Removes the keys and configurations of VPNs: OpenVPN, WireGuard, IPsec, Tailscale, ZeroTier.',
    default: true,
    actions: [
      {
        filesOnly: true,
        remove: [
          '/etc/openvpn/**/*.{key,p12,pfx,ovpn,auth}',
          '/etc/openvpn/*.{key,p12,pfx,ovpn,auth}',
          '/etc/wireguard/*',
          '/etc/ipsec.secrets',
          '/etc/ipsec.d/private/*',
          '/etc/swanctl/{private,rsa,ecdsa,pkcs8,pkcs12}/*',
          '/var/lib/tailscale/*',
          '/var/lib/zerotier-one/identity.{secret,public}',
          '/var/lib/zerotier-one/authtoken.secret',
          '/etc/ppp/{chap,pap}-secrets',
        ],
      },
    ],
  },
  {
    id: 'management-keys',
    title:
      'Removes the keys by which configuration management knows the machine: Puppet, Salt, Chef, Consul, Teleport.',
    default: true,
    risk: 'The agent has to enrol again.',
    actions: [
      {
        remove: [
          '/etc/{puppet,puppetlabs/puppet}/ssl/**',
          '/etc/salt/pki/{minion,master}/**',
          '/etc/salt/minion_id',
          '/etc/{chef,cinc}/*.pem',
          '/etc/{chef,cinc}/client.d/*.pem',
          '/etc/rundeck/ssl/*',
          '/var/lib/{consul,nomad}/{node-id,serf}',
          '/etc/foreman-proxy/*.pem',
          '/etc/{consul,nomad,vault}.d/*{token,key}*',
          '/var/lib/fwupd/pki/*',
          '/var/lib/swtpm-localca/*',
          '/etc/cloudflared/*.{json,pem}',
          '/var/lib/teleport/{host_uuid,proc,log}',
          '/etc/ansible/facts.d/*.key',
        ],
      },
    ],
  },
  {
    id: 'cluster-credentials',
    title: 'Removes the credentials of Kubernetes nodes and container engines.',
    default: true,
    risk: 'The node has to join its cluster again.',
    actions: [
      {
        filesOnly: true,
        remove: [
          '/etc/rancher/{k3s,rke2}/*.yaml',
          '/var/lib/rancher/{k3s,rke2}/server/{token,node-token,cred/**,tls/**}',
          '/var/lib/rancher/{k3s,rke2}/agent/*.{key,kubeconfig}',
          '/etc/rancher/node/password',
          '/etc/kubernetes/*.conf',
          '/etc/kubernetes/pki/**',
          '/var/lib/kubelet/pki/*',
          '/var/lib/kubelet/config.json',
          '/var/snap/microk8s/current/{credentials,certs}/*',
          '/etc/docker/key.json',
          '/etc/docker/certs.d/**/*.key',
          '/var/lib/docker/{engine-id,swarm/**}',
          '/var/lib/cni/{networks,results}/**',
          '/var/lib/{lxd,incus}/{server.crt,server.key,cluster.crt,cluster.key}',
          '/var/snap/lxd/common/lxd/{server.crt,server.key,cluster.crt,cluster.key}',
          '/var/lib/docker/network/files/*',
          '/etc/containers/auth.json',
        ],
      },
    ],
  },
  {
    id: 'container-state',
    title: 'Removes all containers, images and volumes of Docker, Podman and containerd.',
    default: false,
    strict: true,
    risk: 'Containers that are meant to be in the image go too.',
    actions: [{ empty: ['/var/lib/{docker,containers/storage,containerd}'] }],
  },
  {
    id: 'system-credentials',
    title:
      'Removes secrets of the system: sealed credentials, passwords of mounts, mail relays, directories and repositories, kept answers to installers.',
    default: true,
    risk: 'What signs in with one of them has to be given a new one.',
    actions: [
      {
        remove: [
          '/var/lib/systemd/credential.secret',
          '/etc/{credstore,credstore.encrypted}/*',
          '/etc/davfs2/secrets',
          '/etc/{cifs,smb}credentials*',
          '/etc/samba/credentials*',
          '/etc/.git-credentials',
          '/var/cache/debconf/passwords.dat-old',
          '/etc/apt/auth.conf',
          '/etc/apt/auth.conf.d/*',
          '/etc/{boto.cfg,s3cfg,netrc}',
          '/etc/openstack/{clouds,secure}*.{yaml,yml}',
          '/etc/cloud/cloud.cfg.d/*credential*',
          '/etc/{restic,borg,borgmatic,duplicity}/**/*{key,pass,password,passphrase}*',
          '/etc/rclone/rclone.conf',
          '/etc/security/pam_ldap.secret',
          '/etc/{ldap.secret,libnss-ldap.secret,pam_ldap.secret,nslcd.secret}',
          '/etc/msmtprc',
          '/etc/postfix/sasl_passwd{,.db,.lmdb}',
          '/etc/postfix/sasl/*passwd*',
          '/etc/exim4/passwd.client',
          '/etc/mysql/debian.cnf',
          '/etc/passwd-s3fs',
        ],
      },
      { truncate: ['/var/cache/debconf/passwords.dat'] },
    ],
  },
  {
    id: 'application-secrets',
    title: 'Removes the .env files of applications below /opt, /srv and /var/www.',
    default: true,
    risk: 'The application lacks its settings until it is given new ones.',
    actions: [
      { filesOnly: true, remove: ['/{opt,srv,var/www}/{,*/,*/*/,*/*/*/}.env{,.local,.production,.staging}'] },
    ],
  },
  {
    id: 'ci-runners',
    title:
      'Removes the registrations and secrets of build agents: GitLab, GitHub, Jenkins, Buildkite, Drone.',
    default: true,
    risk: 'The runner has to be registered again.',
    actions: [
      {
        filesOnly: true,
        remove: [
          '/etc/gitlab-runner/{config.toml,.runner_system_id}',
          '{home}/.gitlab-runner/{config.toml,.runner_system_id}',
          '{home}/{,*/}{actions-runner,runner}/{.credentials,.credentials_rsaparams,.runner}',
          '/{opt,srv}/{,*/}{actions-runner,runner}/{.credentials,.credentials_rsaparams,.runner}',
          '/var/lib/jenkins/secrets/**',
          '/var/lib/jenkins/{credentials.xml,identity.key.enc,secret.key}',
          '/etc/buildkite-agent/buildkite-agent.cfg',
          '/etc/drone-runner-*/*.{env,conf}',
          '/etc/concourse/*key*',
        ],
      },
    ],
  },
  {
    id: 'kerberos-hostkeytab',
    title: 'Removes the Kerberos key of the host, and tickets.',
    default: true,
    actions: [{ remove: ['/etc/krb5.keytab', '/var/lib/gssproxy/clients/*', '/tmp/krb5cc_*'] }],
  },
  {
    id: 'kerberos-data',
    title: 'Removes the database of a Kerberos server.',
    default: false,
    strict: true,
    risk: 'A Kerberos server loses its principals.',
    actions: [
      { remove: ['/var/kerberos/krb5kdc/*'], except: ['/var/kerberos/krb5kdc/{kadm5.acl,kdc.conf}'] },
    ],
  },
  {
    id: 'ipa-client',
    title: 'Removes the enrolment in FreeIPA.',
    default: true,
    actions: [
      {
        remove: [
          '/etc/ipa/{ca.crt,default.conf}',
          '/var/lib/ipa-client/{sysrestore,pki}/*',
          '/etc/pki/ca-trust/source/anchors/ipa-ca.crt',
          '/usr/local/share/ca-certificates/ipa-ca.crt',
          '/etc/pki/ca-trust/source/ipa.p11-kit',
        ],
      },
    ],
  },
  {
    id: 'rh-subscription-manager',
    title: 'Removes the certificates of a Red Hat subscription.',
    default: true,
    actions: [{ remove: ['/etc/pki/{consumer,entitlement}/*', '/var/lib/rhsm/{facts,cache}/*'] }],
  },
  {
    id: 'rhn-systemid',
    title: 'Removes the registration with the Red Hat Network.',
    default: true,
    actions: [{ remove: ['/etc/sysconfig/rhn/{systemid,osad-auth.conf}'] }],
  },
]
