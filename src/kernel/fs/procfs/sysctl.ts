/** /proc/sys (sysctl(8)): what libraries and common tools read. Only the limits of message queues can be changed. */
import { CAP_LAST } from '../../task/credentials.ts';
import type { Kernel } from '../../kernel.ts';
import { type SystemEntry, systemEntry } from './entry.ts';
import type { Task } from '../../task/task.ts';
import { errno, sysError } from '../../abi/errno.ts';
import { MQUEUE_LIMITS, type MqueueSetting } from '../mqueue.ts';

type Value = string | number | ((kernel: Kernel, task: Task) => string | number);

const sysctl = (path: string, value: Value): SystemEntry =>
  systemEntry(
    `sys/${path}`,
    (kernel, _settings, task) => `${typeof value === 'function' ? value(kernel, task) : value}\n`,
    { perm: 0o644 },
  );

const group = (prefix: string, values: Record<string, Value>): SystemEntry[] =>
  Object.entries(values).map(([name, value]) => sysctl(`${prefix}/${name}`, value));

/** A random UUID (RFC 9562, version 4). */
function uuid(kernel: Kernel): string {
  const b = new Uint8Array(16);
  kernel.host.randomFill(b);
  b[6] = (b[6]! & 0x0f) | 0x40;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(b).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
const bootIds = new WeakMap<Kernel, string>();
function bootId(kernel: Kernel): string {
  let id = bootIds.get(kernel);
  if (!id) {
    id = uuid(kernel);
    bootIds.set(kernel, id);
  }
  return id;
}

const ULONG_HUGE = '18446744073692774399';

/** proc_dointvec_minmax: one number, with blanks around it. Throws EINVAL. */
function parseSetting(name: MqueueSetting, text: string): number {
  const m = /^\s*(\d{1,10})(?:[\s\0]|$)/.exec(text);
  const { least, most } = MQUEUE_LIMITS[name];
  const value = m ? Number(m[1]) : -1;
  if (!(value >= least && value <= most)) throw sysError(errno.EINVAL);
  return value;
}

/** For who belongs to root in the user namespace of the IPC namespace, whatever its capabilities (mq_permissions). */
const mqueueSettings = (Object.keys(MQUEUE_LIMITS) as MqueueSetting[]).map((name) =>
  systemEntry(`sys/fs/mqueue/${name}`, (_kernel, _settings, task) => `${task.ns.ipc.queues.settings[name]}\n`, {
    perm: 0o644,
    write: (_kernel, text, task) => {
      task.ns.ipc.queues.settings[name] = parseSetting(name, text);
    },
  }),
);

export const sysctls: SystemEntry[] = [
  systemEntry('sys/kernel/osrelease', (_k, s) => `${s.release}\n`),
  systemEntry('sys/kernel/version', (_k, s) => `${s.version}\n`),
  ...group('kernel', {
    ostype: 'Linux',
    hostname: (_k, task) => task.ns.uts.hostname,
    domainname: (_k, task) => task.ns.uts.domainname,
    arch: (k) => k.isa,
    pid_max: 4194304,
    'threads-max': 15000,
    ngroups_max: 65536,
    cap_last_cap: CAP_LAST,
    core_pattern: 'core',
    core_uses_pid: 0,
    overflowuid: 65534,
    overflowgid: 65534,
    // Addresses are the same in every run, and programs may know.
    randomize_va_space: 0,
    sem: '32000\t1024000000\t500\t32000',
    shmmax: ULONG_HUGE,
    shmall: ULONG_HUGE,
    shmmni: 4096,
    shm_rmid_forced: 0,
    msgmax: 8192,
    msgmnb: 16384,
    msgmni: 32000,
    auto_msgmni: 0,
    perf_event_paranoid: 3,
    printk: '4\t4\t1\t7',
    kptr_restrict: 1,
    dmesg_restrict: 1,
    tainted: 0,
    panic: 0,
    panic_on_oops: 0,
    unprivileged_bpf_disabled: 2,
    'ctrl-alt-del': 0,
    sysrq: 0,
    sched_child_runs_first: 0,
    sched_rr_timeslice_ms: 100,
    sched_rt_period_us: 1000000,
    sched_rt_runtime_us: 950000,
    numa_balancing: 0,
  }),
  ...group('kernel/yama', { ptrace_scope: 1 }),
  ...group('kernel/random', {
    uuid,
    boot_id: bootId,
    entropy_avail: 256,
    poolsize: 256,
    write_wakeup_threshold: 256,
    urandom_min_reseed_secs: 60,
  }),
  ...group('kernel/keys', { maxkeys: 200, maxbytes: 20000 }),
  ...group('vm', {
    overcommit_memory: 0,
    overcommit_ratio: 50,
    overcommit_kbytes: 0,
    max_map_count: 65530,
    mmap_min_addr: 65536,
    swappiness: 60,
    legacy_va_layout: 0,
    nr_hugepages: 0,
    dirty_ratio: 20,
    dirty_background_ratio: 10,
    vfs_cache_pressure: 100,
    min_free_kbytes: 16384,
    'page-cluster': 3,
    panic_on_oom: 0,
    oom_kill_allocating_task: 0,
    zone_reclaim_mode: 0,
    mmap_rnd_bits: 28,
    admin_reserve_kbytes: 8192,
    user_reserve_kbytes: 65536,
  }),
  ...group('fs', {
    'file-max': '9223372036854775807',
    nr_open: 1048576,
    'file-nr': '64\t0\t9223372036854775807',
    'inode-nr': '1000\t0',
    'dentry-state': '1000\t1000\t45\t0\t0\t0',
    'pipe-max-size': 1048576,
    'pipe-user-pages-soft': 16384,
    'pipe-user-pages-hard': 0,
    'aio-max-nr': 65536,
    'aio-nr': 0,
    protected_hardlinks: 1,
    protected_symlinks: 1,
    protected_fifos: 1,
    protected_regular: 2,
    'lease-break-time': 45,
    'leases-enable': 1,
    'dir-notify-enable': 1,
    suid_dumpable: 0,
    overflowuid: 65534,
    overflowgid: 65534,
  }),
  ...group('fs/inotify', { max_user_watches: 65536, max_user_instances: 128, max_queued_events: 16384 }),
  ...group('fs/epoll', { max_user_watches: 1048576 }),
  ...mqueueSettings,
  ...group('net/core', {
    somaxconn: 4096,
    rmem_max: 212992,
    wmem_max: 212992,
    rmem_default: 212992,
    wmem_default: 212992,
  }),
  ...group('net/ipv4', {
    ip_local_port_range: '32768\t60999',
    ip_unprivileged_port_start: 1024,
    tcp_syncookies: 1,
    ip_forward: 0,
    tcp_fin_timeout: 60,
    tcp_rmem: '4096\t131072\t6291456',
    tcp_wmem: '4096\t16384\t4194304',
    tcp_mem: '45000\t60000\t90000',
    tcp_keepalive_time: 7200,
    tcp_max_syn_backlog: 512,
  }),
  ...group('net/ipv6/conf/all', { disable_ipv6: 0 }),
  ...group('net/unix', { max_dgram_qlen: 512 }),
  ...group('user', { max_user_namespaces: 15000 }),
  ...group('debug', { 'exception-trace': 1 }),
  ...group('dev/tty', { legacy_tiocsti: 0 }),
];
