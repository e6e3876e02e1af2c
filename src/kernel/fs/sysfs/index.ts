/** sysfs: the parts of /sys that libraries read to count processors, caches and memory nodes (sysfs(5)). */
import type { Kernel } from '../../kernel.ts';
import { kB } from '../procfs/entry.ts';
import { type CpuCache, type CpuDescription, defaultCpu } from '../procfs/cpu.ts';
import { memoryUse } from '../procfs/meminfo.ts';
import { GeneratedFile, makedev, PseudoDir, PseudoFs, SYSFS_MAGIC } from '../pseudo.ts';

type Value = string | ((kernel: Kernel) => string);

export interface SysFsOptions {
  cpu?: CpuDescription;
  dev?: number;
}

/** One processor, one node: whatever is a list of them is `0`, whatever is a mask is `1`. */
const CPU: Record<string, Value> = {
  online: '0',
  possible: '0',
  present: '0',
  offline: '',
  isolated: '',
  kernel_max: '0',
  'smt/active': '0',
  'smt/control': 'notsupported',
  ...Object.fromEntries(
    [
      'meltdown',
      'spectre_v1',
      'spectre_v2',
      'spec_store_bypass',
      'l1tf',
      'mds',
      'tsx_async_abort',
      'srbds',
      'retbleed',
    ].map((v) => [`vulnerabilities/${v}`, 'Not affected']),
  ),
};

const TOPOLOGY: Record<string, Value> = {
  core_id: '0',
  physical_package_id: '0',
  die_id: '0',
  cluster_id: '-1',
  ...Object.fromEntries(
    ['core_cpus', 'core_siblings', 'die_cpus', 'package_cpus', 'cluster_cpus', 'thread_siblings'].flatMap((name) => [
      [name, '1'],
      [`${name}_list`, '0'],
    ]),
  ),
};

function cacheFiles(cache: CpuCache, id: number, lineBytes: number): Record<string, Value> {
  return {
    level: String(cache.level),
    type: cache.type,
    size: `${cache.bytes / 1024}K`,
    ways_of_associativity: String(cache.ways),
    coherency_line_size: String(lineBytes),
    number_of_sets: String(cache.bytes / cache.ways / lineBytes),
    physical_line_partition: '1',
    shared_cpu_list: '0',
    shared_cpu_map: '1',
    id: String(id),
  };
}

function nodeMeminfo(kernel: Kernel): string {
  const { total, used, file } = memoryUse(kernel);
  const rows: [string, number][] = [
    ['MemTotal', total],
    ['MemFree', total - used],
    ['MemUsed', used],
    ['SwapCached', 0],
    ['Active', used],
    ['Inactive', 0],
    ['FilePages', file],
    ['Mapped', file],
    ['AnonPages', used - file],
    ['Shmem', 0],
  ];
  const lines = rows.map(([name, bytes]) => `Node 0 ${`${name}:`.padEnd(15)}${String(kB(bytes)).padStart(8)} kB`);
  const huge = ['Total', 'Free', 'Surp'].map((n) => `Node 0 ${`HugePages_${n}:`.padEnd(16)}${'0'.padStart(6)}`);
  return [...lines, ...huge].join('\n');
}

const NODE: Record<string, Value> = {
  online: '0',
  possible: '0',
  has_cpu: '0',
  has_memory: '0',
  has_normal_memory: '0',
  'node0/cpulist': '0',
  'node0/cpumap': '1',
  'node0/distance': '10',
  'node0/meminfo': nodeMeminfo,
  'node0/numastat': 'numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0',
};

const LOOPBACK: Record<string, Value> = {
  address: '00:00:00:00:00:00',
  broadcast: '00:00:00:00:00:00',
  addr_len: '6',
  flags: '0x9',
  ifindex: '1',
  iflink: '1',
  mtu: '65536',
  operstate: 'unknown',
  carrier: '1',
  dormant: '0',
  type: '772',
  tx_queue_len: '1000',
  link_mode: '0',
  netdev_group: '0',
  ...Object.fromEntries(
    [
      'rx_bytes',
      'tx_bytes',
      'rx_packets',
      'tx_packets',
      'rx_errors',
      'tx_errors',
      'rx_dropped',
      'tx_dropped',
      'collisions',
      'multicast',
    ].map((n) => [`statistics/${n}`, '0']),
  ),
};

const KERNEL: Record<string, Value> = {
  'mm/transparent_hugepage/enabled': 'always madvise [never]',
  'mm/transparent_hugepage/defrag': 'always defer defer+madvise madvise [never]',
  'mm/transparent_hugepage/shmem_enabled': 'always within_size advise [never] deny force',
  'mm/transparent_hugepage/hpage_pmd_size': '2097152',
  'mm/transparent_hugepage/use_zero_page': '1',
  'mm/hugepages/hugepages-2048kB/nr_hugepages': '0',
  'mm/hugepages/hugepages-2048kB/free_hugepages': '0',
  address_bits: '64',
  cpu_byteorder: 'little',
  fscaps: '1',
};

/** Of what `#fill` makes. */
const ROOT_DIRECTORIES = 10;

export class SysFs extends PseudoFs {
  readonly #root: PseudoDir;

  constructor(options: SysFsOptions = {}) {
    super('sysfs', options.dev ?? makedev(0, 21), SYSFS_MAGIC);
    const cpu = options.cpu ?? defaultCpu;
    this.#root = new PseudoDir(this);
    this.setRoot(this.#root);
    this.#root.fillLater(ROOT_DIRECTORIES, () => this.#fill(cpu));
  }
  #fill(cpu: CpuDescription): void {
    for (const empty of ['block', 'bus', 'dev/block', 'dev/char', 'firmware', 'fs/cgroup', 'module', 'power'])
      this.#dir(empty);
    this.#files('devices/system/cpu', CPU);
    this.#files('devices/system/cpu/cpu0/topology', TOPOLOGY);
    cpu.caches.forEach((cache, i) => {
      this.#files(`devices/system/cpu/cpu0/cache/index${i}`, cacheFiles(cache, 0, cpu.cacheLineBytes));
    });
    this.#files('devices/system/node', NODE);
    this.#files('class/net/lo', LOOPBACK);
    this.#files('kernel', KERNEL);
  }

  #dir(path: string): void {
    path.split('/').reduce((dir, name) => dir.dir(name), this.#root);
  }
  #files(base: string, values: Record<string, Value>): void {
    for (const [name, value] of Object.entries(values)) {
      const text = (kernel: Kernel): string => `${typeof value === 'function' ? value(kernel) : value}\n`;
      this.#root.addPath(
        `${base}/${name}`,
        new GeneratedFile(this, (task) => text(task.kernel), { size: 4096, pollable: true }),
      );
    }
  }
}
