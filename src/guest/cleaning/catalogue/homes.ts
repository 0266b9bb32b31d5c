import type { CleaningOperation } from '../operation.ts'

/** What people leave in their homes. `{home}` is every home, those of services too; `{person}` only people's. */
export const homeOperations: readonly CleaningOperation[] = [
  {
    id: 'bash-history',
    title: 'Removes the history of bash and sh from every home.',
    default: true,
    actions: [
      { remove: ['{home}/.bash_history*', '{home}/.sh_history', '{home}/.ash_history', '/.bash_history'] },
    ],
  },
  {
    id: 'zsh-history',
    title: 'Removes the history of zsh from every home.',
    default: true,
    actions: [
      { remove: ['{home}/.zsh_history*', '{home}/.zhistory', '{home}/.histfile', '{home}/.zsh_sessions'] },
    ],
  },
  {
    id: 'histories',
    title:
      'Removes the histories of other shells, interpreters, databases, editors and pagers from every home.',
    default: true,
    actions: [
      {
        remove: [
          '{home}/.{python,mysql,psql,sqlite,node_repl,rediscli,mongo,lua,php,R,scala,octave}_history',
          '{home}/.{history,histfile,Rhistory,irb_history,irb-history,pry_history,ghc/ghci_history,erlang-history}',
          '{home}/.{mariadb_history,dbshell,mongodb/mongosh,usql_history,influx_history,tclsh-history,units_history}',
          '{home}/.{viminfo,viminfo.tmp,lesshst,wget-hsts,gdb_history,calc_history,bc_history,sqlplus_history}',
          '{home}/.vim/{.netrwhist,undo,view,swap,backup}',
          '{home}/.{emacs.d/auto-save-list,emacs.d/recentf,emacs.d/backups,nano/search_history,nano/filepos_history}',
          '{home}/.local/share/{fish/fish_history,nano,powershell/PSReadLine,nvim/shada,nu/history.txt}',
          '{home}/.local/state/{bash,zsh,less,nvim,python_history,psql_history,mysql_history,lesshst,wget-hsts}',
          '{home}/.config/{fish/fish_history,nushell/history.txt}',
          '{home}/.ipython/profile_*/{history.sqlite,history.sqlite-journal}',
          '{home}/.{lftp/rl_history,lftp/cwd_history,lftp/transfer_log,ncftp/history,ncftp/trace,selected_editor}',
          '{home}/.{duckdb_history,clickhouse-client-history,mycli-history,deno_history,ts_node_repl_history,bash_sessions,gnuplot_history,lldb}',
          '{home}/.local/share/{atuin,xonsh,elvish,mc,pgcli,mycli,litecli}',
          '{home}/.config/{pgcli,mycli,litecli,iredis}/history',
          '{home}/.{mc/history,julia/logs,psql_history-*,redisclirc_history,ksh_history,tcsh_history,scapy_history}',
          '/.{viminfo,lesshst,python_history}',
        ],
      },
    ],
  },
  {
    id: 'ssh-userdir',
    title: 'Removes the .ssh directory from every home: keys, authorized keys, known hosts.',
    default: true,
    risk: 'Nobody can sign in with a key until cloud-init, or somebody at the console, adds one.',
    actions: [
      {
        remove: [
          '{home}/.ssh',
          '{home}/.ssh2',
          '/.ssh',
          '/etc/ssh/authorized_keys/*',
          '/etc/dropbear/authorized_keys',
        ],
      },
    ],
  },
  {
    id: 'credentials',
    title: 'Removes passwords, tokens and keys of clouds, registries, databases and tools from every home.',
    default: true,
    actions: [
      {
        remove: [
          '{home}/.{aws,azure,Azure,boto,s3cfg,s3ql,oci,bluemix,aliyun,tccli,doctl,linode-cli,hcloud}',
          '{home}/.config/{gcloud,openstack,doctl,hcloud,scw,exoscale,linode-cli,rclone,gh,hub,glab-cli,containers/auth.json}',
          '{home}/.config/{op,configstore,heroku,netlify,vercel,helm/registry,pypoetry/auth.toml,filezilla,git/credentials}',
          '{home}/.{openrc,openrc.sh,novarc,eucarc,euca,euca2ools,nimbus,globus,ssl,fly,heroku}',
          '{home}/*{openrc,eucarc,novarc}{,.sh}',
          '{home}/.{kube,docker/config.json,dockercfg,helm/repository/repositories.yaml,minikube,k9s}',
          '{home}/.{git-credentials,git-credential-cache,netrc,authinfo,authinfo.gpg,fetchmailrc,msmtprc,mbsyncrc,offlineimaprc}',
          '{home}/.{pgpass,my.cnf,mylogin.cnf,mongorc.js,odbc.ini,cassandra/credentials,cassandra/cqlshrc}',
          '{home}/.{gnupg,password-store,pki,vault-token,consul-token,nomad-token,terraform.d/credentials.tfrc.json,terraformrc}',
          '{home}/.{npmrc,yarnrc,yarnrc.yml,pypirc,gem/credentials,bundle/config,cargo/credentials,cargo/credentials.toml,nuget/NuGet/NuGet.Config}',
          '{home}/.{m2/settings.xml,m2/settings-security.xml,gradle/gradle.properties,ivy2/.credentials,sbt/.credentials,composer/auth.json}',
          '{home}/.{ansible/vault_pass,vault_pass,vault_pass.txt,vagrant.d/insecure_private_key,chef,puppet/ssl,puppetlabs/etc/puppet/ssl}',
          '{home}/.{davfs2/secrets,smbcredentials,credentials,cifs,irods/.irodsA,irods/irods_environment.json,irodsEnv,vnc/passwd}',
          '{home}/.{subversion/auth,hgrc,bazaar/authentication.conf,bitcoin,electrum,ethereum/keystore,google_authenticator,duo}',
          '{home}/.local/share/{keyrings,kwalletd,containers/storage/overlay-images,pypoetry,gvfs-metadata}',
          '{home}/.{gnome2/keyrings,kde/share/apps/kwallet,kde4/share/apps/kwallet,ICEauthority,Xauthority,esd_auth,pulse-cookie}',
          '{home}/.config/{pulse/cookie,goa-1.0,evolution,geary,Slack,discord,skypeforlinux,teams,Signal,Code/User/globalStorage}',
          '{home}/.{pulumi/credentials.json,jfrog,argocd,kaggle,huggingface/token,snowsql/config,databrickscfg,wrangler,serverlessrc,ec2,age}',
          '{home}/.config/{borg,restic,github-copilot,stripe,jfrog,argocd,sops/age,.wrangler,turso,supabase,doppler,infracost}',
          '{home}/.{claude/.credentials.json,codex/auth.json,gemini/oauth_creds.json,openai,config/openai}',
          '{home}/.{k5login,krb5cc*,config/krb5,tmate.conf,ngrok2,config/ngrok,cloudflared,tsh,teleport,okta,saml2aws}',
        ],
      },
    ],
  },
  {
    id: 'browser-data',
    title: 'Removes the profiles of web browsers and mail programs: cookies, saved passwords, mail.',
    default: true,
    actions: [
      {
        remove: [
          '{person}/.{mozilla,thunderbird,opera,w3m,lynx_cookies,elinks,links,links2,surf}',
          '{person}/.config/{google-chrome,chromium,BraveSoftware,microsoft-edge,vivaldi,opera}',
          '{person}/snap/{firefox,chromium,thunderbird}',
          '{person}/.var/app',
          '{person}/{mbox,dead.letter,Maildir,Mail,.mutt/cache,.mutt/certificates,.pine*,.addressbook}',
        ],
      },
    ],
  },
  {
    id: 'home-litter',
    title: 'Removes caches, trash, recent-file lists, session files and editor backups from every home.',
    default: true,
    actions: [
      { empty: ['{person}/.cache', '{home}/.ansible/tmp', '{person}/.thumbnails'] },
      {
        remove: [
          '{home}/.ansible/{cp,async}',
          '{home}/.ansible_async',
          '{person}/.local/share/{Trash,recently-used.xbel,recently-used.xbel.*,RecentDocuments,zeitgeist,tracker,baloo,webkit}',
          '{person}/.{recently-used,recently-used.xbel,Trash,fontconfig,dbus/session-bus,xsession-errors,xsession-errors.old}',
          '{person}/.{sudo_as_admin_successful,vscode-server/data,vscode-server/.*.log,vscode-remote,cursor-server/data,wget-log}',
          '{person}/.{npm/_logs,npm/_cacache,yarn/cache,bundle/cache,cpan/build,cpan/sources,pm2/logs,nv}',
          '{home}/.{cloud-locale-test.skip,motd_shown,screenrc.swp,nfs*,fuse_hidden*,joe_state,jupyter/runtime,local/share/jupyter/runtime}',
          '{person}/{*.bak,*~,*.swp,*.swo,.*.swp,.*.swo,nohup.out,core,core.[0-9]*,wget-log,wget-log.[0-9]*}',
        ],
      },
    ],
  },
]
