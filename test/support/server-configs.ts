/** Command lines and configuration files of the servers that are run as guests. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const REDIS = '/usr/bin/redis-server';
export const NGINX = '/usr/sbin/nginx';
export const HAPROXY = '/usr/sbin/haproxy';

export const redisWords = (port: number): string[] => [
  ...[REDIS, '--port', String(port), '--save', '', '--protected-mode', 'no', '--dir', '/tmp'],
];

/**
 * nginx with two workers: `/` is a short text, `/status` its counters. It never takes a busy machine for silent clients. The
 * command line.
 */
export function nginxWords(folder: string, port: number): string[] {
  const path = join(folder, `nginx-${port}.conf`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    path,
    `worker_processes 2;
daemon off;
error_log stderr error;
pid ${folder}/nginx-${port}.pid;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  keepalive_timeout 1h;
  client_header_timeout 1h;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name}-${port};`).join('\n')}
  server {
    listen ${port};
    location / { return 200 "hello from nginx\\n"; }
    location /status { stub_status; }
  }
}
`,
  );
  return [NGINX, '-c', path];
}

/** haproxy on one port of the loopback in front of another. The command line. */
export function haproxyWords(folder: string, port: number, backend: number): string[] {
  const path = join(folder, `haproxy-${port}.cfg`);
  writeFileSync(
    path,
    `global
  maxconn 200
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:${port}
  default_backend back
backend back
  server one 127.0.0.1:${backend}
`,
  );
  return [HAPROXY, '-f', path];
}
