/** System calls about terminals: all there is to a terminal goes through ioctl(2) (fs/tty-ioctl.ts). */
import type { SyscallRow } from './row.ts';

export const ttyRows: SyscallRow[] = [];
