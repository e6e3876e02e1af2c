/** Signals and signal sets as strace prints them. */
import type { SigInfo } from '../abi/siginfo.ts';
import { NSIG, SIGCHLD, signalName } from '../abi/signals.ts';
import type { SigSet } from './sigset.ts';

const commonCodes: Record<number, string> = {
  0: 'SI_USER',
  128: 'SI_KERNEL',
  [-1]: 'SI_QUEUE',
  [-2]: 'SI_TIMER',
  [-6]: 'SI_TKILL',
};
const faultCodes: Record<string, readonly string[]> = {
  SIGSEGV: ['', 'SEGV_MAPERR', 'SEGV_ACCERR'],
  SIGBUS: ['', 'BUS_ADRALN', 'BUS_ADRERR', 'BUS_OBJERR'],
  SIGFPE: [
    '',
    'FPE_INTDIV',
    'FPE_INTOVF',
    'FPE_FLTDIV',
    'FPE_FLTOVF',
    'FPE_FLTUND',
    'FPE_FLTRES',
    'FPE_FLTINV',
    'FPE_FLTSUB',
  ],
  SIGILL: [
    '',
    'ILL_ILLOPC',
    'ILL_ILLOPN',
    'ILL_ILLADR',
    'ILL_ILLTRP',
    'ILL_PRVOPC',
    'ILL_PRVREG',
    'ILL_COPROC',
    'ILL_BADSTK',
  ],
  SIGTRAP: ['', 'TRAP_BRKPT', 'TRAP_TRACE', 'TRAP_BRANCH', 'TRAP_HWBKPT', 'TRAP_UNK'],
  SIGCHLD: ['', 'CLD_EXITED', 'CLD_KILLED', 'CLD_DUMPED', 'CLD_TRAPPED', 'CLD_STOPPED', 'CLD_CONTINUED'],
};

/** `{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL}`. */
export function describeSigInfo(info: SigInfo): string {
  const name = signalName(info.signo);
  const code = commonCodes[info.code] ?? faultCodes[name]?.[info.code] ?? String(info.code);
  const fields = [`si_signo=${name}`, `si_code=${code}`];
  if (info.signo === SIGCHLD && info.code > 0) {
    fields.push(`si_pid=${info.pid ?? 0}`, `si_uid=${info.uid ?? 0}`, `si_status=${info.status ?? 0}`);
  } else if (info.address !== undefined) {
    fields.push(`si_addr=${info.address === 0 ? 'NULL' : `0x${info.address.toString(16)}`}`);
  } else if (info.code <= 0) {
    fields.push(`si_pid=${info.pid ?? 0}`, `si_uid=${info.uid ?? 0}`);
  }
  return `{${fields.join(', ')}}`;
}

/** `[INT CHLD]`, or the complement with a tilde when that is shorter: `~[KILL STOP]`. */
export function describeSigset(set: SigSet): string {
  const members = [...set];
  const shown = members.length > NSIG / 2 ? [...set.complement()] : members;
  const names = shown.map((n) => signalName(n).replace(/^SIG/, ''));
  return `${members.length > NSIG / 2 ? '~' : ''}[${names.join(' ')}]`;
}
