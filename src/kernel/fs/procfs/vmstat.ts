/** /proc/vmstat, as far as tools look at it. */
import { pages, systemEntry } from './entry.ts';
import { memoryUse } from './meminfo.ts';

export const vmstat = systemEntry('vmstat', (kernel) => {
  const { total, used, file } = memoryUse(kernel);
  const counters: [string, number][] = [
    ['nr_free_pages', pages(total - used)],
    ['nr_inactive_anon', 0],
    ['nr_active_anon', pages(used - file)],
    ['nr_inactive_file', 0],
    ['nr_active_file', pages(file)],
    ['nr_unevictable', 0],
    ['nr_slab_reclaimable', 0],
    ['nr_slab_unreclaimable', 0],
    ['nr_anon_pages', pages(used - file)],
    ['nr_mapped', pages(file)],
    ['nr_file_pages', pages(file)],
    ['nr_dirty', 0],
    ['nr_writeback', 0],
    ['nr_shmem', 0],
    ['pgpgin', 0],
    ['pgpgout', 0],
    ['pswpin', 0],
    ['pswpout', 0],
    ['pgfault', 0],
    ['pgmajfault', 0],
    ['oom_kill', 0],
  ];
  return counters.map(([name, n]) => `${name} ${n}\n`).join('');
});
