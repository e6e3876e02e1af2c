/** What socket calls take from guest memory and put there: descriptors, addresses, message headers. */
import { errno, sysError } from '../abi/errno.ts';
import { Socket } from '../net/socket.ts';
import { asSocket } from '../net/stdio-socket.ts';
import type { Task } from '../task/task.ts';

/** sizeof(struct sockaddr_storage). */
export const STORAGE_SIZE = 128;

/** Throws EBADF, ENOTSOCK. */
export function socketOf(task: Task, fd: number): Socket {
  const file = task.files.get(fd);
  if (file instanceof Socket) return file;
  const stdio = asSocket(task, file);
  if (!stdio) throw sysError(errno.ENOTSOCK);
  return stdio;
}

/** move_addr_to_kernel. Throws EINVAL for a length no address has, EFAULT. */
export function readAddress(task: Task, address: number, length: number): Uint8Array {
  if (length < 0 || length > STORAGE_SIZE) throw sysError(errno.EINVAL);
  return task.mem.copyIn(address, length);
}

/** move_addr_to_user: as much as there is room for; the length is the address's own. Throws EINVAL, EFAULT. */
export function writeAddress(task: Task, value: Uint8Array, address: number, lengthAddress: number): void {
  const room = task.mem.readI32(lengthAddress);
  if (room < 0) throw sysError(errno.EINVAL);
  task.mem.copyOut(address, value.subarray(0, Math.min(room, value.length)));
  task.mem.writeU32(lengthAddress, value.length);
}
