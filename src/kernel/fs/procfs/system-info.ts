/** Files about the system that hardly ever change: version, filesystems, devices, and lists that are empty here. */
import { msgTable, semTable, shmTable } from '../../ipc/proc.ts';
import { type SystemEntry, systemEntry } from './entry.ts';

const constant = (path: string, text: string, perm?: number): SystemEntry =>
  systemEntry(path, () => text, perm === undefined ? {} : { perm });

export const version = systemEntry(
  'version',
  (_kernel, { release, version: build }) => `Linux version ${release} (uktx@localhost) (TypeScript) ${build}\n`,
);

export const systemInfo: SystemEntry[] = [
  version,
  constant('cmdline', 'BOOT_IMAGE=uktx\n'),
  constant(
    'filesystems',
    ['sysfs', 'tmpfs', 'proc', 'devtmpfs', 'pipefs', 'ramfs', 'devpts', 'mqueue', 'overlay']
      .map((n) => `nodev\t${n}\n`)
      .join(''),
  ),
  constant(
    'devices',
    'Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n 10 misc\n136 pts\n\nBlock devices:\n',
  ),
  constant('swaps', 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'),
  constant('partitions', 'major minor  #blocks  name\n\n'),
  constant('diskstats', ''),
  constant('modules', ''),
  constant('locks', ''),
  constant('misc', ''),
  constant('consoles', ''),
  constant('execdomains', '0-0\tLinux           \t[kernel]\n'),
  constant('kallsyms', ''),
  constant('cgroups', '#subsys_name\thierarchy\tnum_cgroups\tenabled\n'),
  constant('buddyinfo', ''),
  constant('zoneinfo', ''),
  constant('slabinfo', 'slabinfo - version: 2.1\n', 0o400),
  constant(
    'tty/drivers',
    '/dev/tty             /dev/tty        5       0 system:/dev/tty\n/dev/ptmx            /dev/ptmx       5       2 system\npty_slave            /dev/pts      136 0-1048575 pty:slave\n',
  ),
  systemEntry('sysvipc/msg', (_kernel, _settings, task) => msgTable(task)),
  systemEntry('sysvipc/sem', (_kernel, _settings, task) => semTable(task)),
  systemEntry('sysvipc/shm', (_kernel, _settings, task) => shmTable(task)),
];
