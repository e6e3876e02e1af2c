/** Results of handlers that are not results of the system call. */

/**
 * The handler has set all registers of the task itself (a new program, or a signal frame undone): the dispatcher leaves
 * the result register alone. No call can return this number.
 */
export const EXEC_DONE = -(2 ** 52);
