/** What uname(2), /proc/version and /proc/sys/kernel say of the kernel. */

export const KERNEL_RELEASE = '6.1.0-uktx';
export const KERNEL_VERSION = '#1 SMP PREEMPT_DYNAMIC';
