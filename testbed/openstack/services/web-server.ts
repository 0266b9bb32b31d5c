/** How a WSGI application is served on a loopback port. */
export function webServer(
  application: string,
  port: number,
  ...applicationArguments: string[]
): [string, ...string[]] {
  return [
    'uwsgi_python3',
    ...['--http-socket', `127.0.0.1:${port}`, '--wsgi-file', application],
    ...['--master', '--processes', '1', '--threads', '4', '--enable-threads', '--lazy-apps', '--die-on-term'],
    ...['--buffer-size', '65535', '--disable-logging'],
    // Its simple server claims to keep connections and does not.
    ...['--add-header', 'Connection: close'],
    ...(applicationArguments.length > 0 ? ['--pyargv', applicationArguments.join(' ')] : []),
  ]
}
