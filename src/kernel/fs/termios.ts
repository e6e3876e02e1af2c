/** struct termios, struct winsize and their constants (termios(3), ioctl_tty(2); asm-generic, equal on both ISAs). */

// c_iflag.
export const ISTRIP = 0o40;
export const INLCR = 0o100;
export const IGNCR = 0o200;
export const ICRNL = 0o400;
export const IXON = 0o2000;
export const IXANY = 0o4000;
export const IUTF8 = 0o40000;
// c_oflag.
export const OPOST = 1;
export const ONLCR = 4;
// c_lflag.
export const ISIG = 1;
export const ICANON = 2;
export const ECHO = 0o10;
export const ECHOE = 0o20;
export const ECHOK = 0o40;
export const ECHONL = 0o100;
export const NOFLSH = 0o200;
export const TOSTOP = 0o400;
export const ECHOCTL = 0o1000;
export const ECHOKE = 0o4000;
export const IEXTEN = 0o100000;
// c_cc.
export const VINTR = 0;
export const VQUIT = 1;
export const VERASE = 2;
export const VKILL = 3;
export const VEOF = 4;
export const VTIME = 5;
export const VMIN = 6;
export const VSTART = 8;
export const VSTOP = 9;
export const VSUSP = 10;
export const VEOL = 11;
export const VREPRINT = 12;
export const VWERASE = 14;
export const VLNEXT = 15;
export const VEOL2 = 16;
export const NCCS = 19;
/** A control character that is switched off. */
export const DISABLED = 0;

const B38400 = 0o17;

export interface Termios {
  iflag: number;
  oflag: number;
  cflag: number;
  lflag: number;
  line: number;
  /** NCCS control characters. */
  cc: Uint8Array;
}

/** What a terminal emulator's shell hands to a program: the kernel's defaults with UTF-8 erasing. */
export function defaultTermios(): Termios {
  const cc = new Uint8Array(NCCS);
  cc.set([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0]);
  return {
    iflag: ICRNL | IXON | IUTF8,
    oflag: OPOST | ONLCR,
    cflag: 0o60 /* CS8 */ | 0o200 /* CREAD */ | B38400,
    lflag: ISIG | ICANON | IEXTEN | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE,
    line: 0,
    cc,
  };
}

export const cloneTermios = (t: Termios): Termios => ({ ...t, cc: t.cc.slice() });

/** struct termios: 36 bytes. */
export const TERMIOS_SIZE = 36;
/** struct termios2: with the speeds, 44 bytes. */
export const TERMIOS2_SIZE = 44;

export function encodeTermios(t: Termios, size = TERMIOS_SIZE): Uint8Array {
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  [t.iflag, t.oflag, t.cflag, t.lflag].forEach((flags, i) => {
    view.setUint32(i * 4, flags, true);
  });
  out[16] = t.line;
  out.set(t.cc, 17);
  if (size === TERMIOS2_SIZE) {
    view.setUint32(36, 38400, true);
    view.setUint32(40, 38400, true);
  }
  return out;
}

export function decodeTermios(bytes: Uint8Array): Termios {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    iflag: view.getUint32(0, true),
    oflag: view.getUint32(4, true),
    cflag: view.getUint32(8, true),
    lflag: view.getUint32(12, true),
    line: bytes[16]!,
    cc: bytes.slice(17, 17 + NCCS),
  };
}

/** Input flags and characters that the host's own discipline, left at its defaults, would not honour if changed. */
export function differsFromDefault(t: Termios): boolean {
  const d = defaultTermios();
  const inputFlags = ISTRIP | INLCR | IGNCR | ICRNL | IXON;
  const localFlags = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHONL | ECHOCTL | ECHOKE | IEXTEN;
  if (((t.iflag ^ d.iflag) & inputFlags) !== 0 || ((t.lflag ^ d.lflag) & localFlags) !== 0) return true;
  return t.cc.some((c, i) => i !== VMIN && i !== VTIME && c !== d.cc[i]);
}
