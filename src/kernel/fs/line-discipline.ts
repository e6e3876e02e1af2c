/**
 * The terminal line discipline (drivers/tty/n_tty.c) over a host terminal in raw mode: editing of lines, echo, signals
 * from the keyboard, and what a read gets in canonical and non-canonical mode.
 */
import { SIGINT, SIGQUIT, SIGTSTP } from '../abi/signals.ts';
import * as t from './termios.ts';
import type { Termios } from './termios.ts';

export interface DisciplineHooks {
  /** Writes to the screen. */
  echo(bytes: Uint8Array): void;
  /** A signal for the foreground process group. */
  signal(signo: number): void;
  /** ^S and ^Q. */
  stopped(on: boolean): void;
  /** Unread input was thrown away because of a signal key. */
  flushed?(): void;
}

/** A finished line of canonical mode: its bytes, and whether ^D ended it (then an empty one reads as end of file). */
interface Line {
  bytes: Uint8Array;
  eof: boolean;
}

/** As much as the kernel's buffer holds; what is typed beyond is lost. */
const LIMIT = 4096;
const NEWLINE = 10;

export class LineDiscipline {
  readonly #hooks: DisciplineHooks;
  #termios: Termios;
  /** The line being edited. */
  #edit: number[] = [];
  #lines: Line[] = [];
  /** Non-canonical input. */
  #raw: number[] = [];
  #literal = false;
  #stopped = false;

  constructor(termios: Termios, hooks: DisciplineHooks) {
    this.#termios = termios;
    this.#hooks = hooks;
  }

  get #canonical(): boolean {
    return (this.#termios.lflag & t.ICANON) !== 0;
  }

  /** New settings. Input that waits stays readable when the mode changes. */
  set(termios: Termios): void {
    const was = this.#canonical;
    this.#termios = termios;
    if (was && !this.#canonical) {
      for (const line of this.#lines) this.#raw.push(...line.bytes);
      this.#raw.push(...this.#edit);
      this.#lines = [];
      this.#edit = [];
    } else if (!was && this.#canonical && this.#raw.length > 0) {
      this.#lines.push({ bytes: Uint8Array.from(this.#raw), eof: false });
      this.#raw = [];
    }
    this.#literal = false;
  }

  /** TCIFLUSH. */
  flush(): void {
    this.#edit = [];
    this.#lines = [];
    this.#raw = [];
  }

  /** FIONREAD: bytes a read could get. */
  get available(): number {
    return this.#canonical ? this.#lines.reduce((n, l) => n + l.bytes.length, 0) : this.#raw.length;
  }
  /** Bytes `input` can take now: without a whole line to read, canonical mode takes (and drops) anything. */
  get room(): number {
    if (this.#canonical)
      return this.#lines.length === 0 ? Infinity : Math.max(0, LIMIT - this.available - this.#edit.length);
    return Math.max(0, LIMIT - 1 - this.#raw.length);
  }
  /** Whether a read would return at once with at least `min` bytes (non-canonical) or a line or end of file. */
  readable(min: number): boolean {
    return this.#canonical ? this.#lines.length > 0 : this.#raw.length >= Math.max(1, min);
  }

  /** What waits: at most one line in canonical mode. Null: nothing; 0: end of file. */
  take(dst: Uint8Array): number | null {
    if (!this.#canonical) {
      if (this.#raw.length === 0) return null;
      const part = this.#raw.splice(0, dst.length);
      dst.set(part);
      return part.length;
    }
    const line = this.#lines[0];
    if (!line) return null;
    const part = line.bytes.subarray(0, dst.length);
    dst.set(part);
    line.bytes = line.bytes.subarray(part.length);
    if (line.bytes.length === 0) this.#lines.shift();
    return part.length;
  }

  /** Characters from the keyboard. */
  input(bytes: Uint8Array): void {
    for (const byte of bytes) this.#char(byte);
  }

  #is(c: number, index: number): boolean {
    return c !== t.DISABLED && c === this.#termios.cc[index];
  }
  #has(flag: number): boolean {
    return (this.#termios.lflag & flag) !== 0;
  }

  #char(byte: number): void {
    const { iflag } = this.#termios;
    let c = iflag & t.ISTRIP ? byte & 0x7f : byte;
    if (this.#literal) {
      this.#literal = false;
      this.#store(c);
      return;
    }
    if (c === 13) {
      if (iflag & t.IGNCR) return;
      if (iflag & t.ICRNL) c = NEWLINE;
    } else if (c === NEWLINE && iflag & t.INLCR) c = 13;
    if (this.#flowControl(c) || this.#signalKey(c)) return;
    if (this.#canonical && this.#editKey(c)) return;
    this.#store(c);
  }

  #flowControl(c: number): boolean {
    if (!(this.#termios.iflag & t.IXON)) return false;
    if (this.#is(c, t.VSTOP)) return this.#setStopped(true);
    if (this.#is(c, t.VSTART)) return this.#setStopped(false);
    if (this.#stopped && this.#termios.iflag & t.IXANY) this.#setStopped(false);
    return false;
  }
  #setStopped(on: boolean): true {
    // Told every time: TCXONC stops and starts output, too.
    this.#stopped = on;
    this.#hooks.stopped(on);
    return true;
  }

  #signalKey(c: number): boolean {
    if (!this.#has(t.ISIG)) return false;
    const signo = this.#is(c, t.VINTR) ? SIGINT : this.#is(c, t.VQUIT) ? SIGQUIT : this.#is(c, t.VSUSP) ? SIGTSTP : 0;
    if (signo === 0) return false;
    if (!this.#has(t.NOFLSH)) {
      this.flush();
      this.#hooks.flushed?.();
    }
    if (this.#stopped) this.#setStopped(false);
    this.#echoChar(c);
    this.#hooks.signal(signo);
    return true;
  }

  /** The characters that mean something while a line is edited. */
  #editKey(c: number): boolean {
    if (this.#is(c, t.VERASE)) return this.#erase(1);
    if (this.#is(c, t.VKILL)) return this.#kill();
    if (this.#has(t.IEXTEN)) {
      if (this.#is(c, t.VWERASE)) return this.#erase(this.#lastWord());
      if (this.#is(c, t.VLNEXT)) {
        this.#literal = true;
        if (this.#has(t.ECHO) && this.#has(t.ECHOCTL)) this.#write('^\b');
        return true;
      }
      if (this.#is(c, t.VREPRINT) && this.#has(t.ECHO)) {
        this.#echoChar(c);
        this.#write('\n');
        for (const e of this.#edit) this.#echoChar(e);
        return true;
      }
    }
    if (c === NEWLINE) {
      if (this.#has(t.ECHO) || this.#has(t.ECHONL)) this.#write('\n');
      this.#edit.push(c);
      this.#finishLine(false);
      return true;
    }
    if (this.#is(c, t.VEOF)) {
      this.#finishLine(true);
      return true;
    }
    if (this.#is(c, t.VEOL) || (this.#is(c, t.VEOL2) && this.#has(t.IEXTEN))) {
      this.#echoChar(c);
      this.#edit.push(c);
      this.#finishLine(false);
      return true;
    }
    return false;
  }

  #finishLine(eof: boolean): void {
    this.#lines.push({ bytes: Uint8Array.from(this.#edit), eof });
    this.#edit = [];
  }

  #store(c: number): void {
    if (this.#edit.length + this.available >= LIMIT - 1) {
      this.#write('\x07');
      return;
    }
    this.#echoChar(c);
    if (this.#canonical) this.#edit.push(c);
    else this.#raw.push(c);
  }

  /** Bytes of the last character, with IUTF8 a whole sequence. */
  #lastCharacter(end: number): number {
    let start = end - 1;
    if (this.#termios.iflag & t.IUTF8) while (start > 0 && (this.#edit[start]! & 0xc0) === 0x80) start--;
    return start;
  }
  #lastWord(): number {
    const isWord = (c: number): boolean => c === 95 || /[0-9A-Za-z]/.test(String.fromCharCode(c)) || c >= 0x80;
    let seen = false;
    let count = 0;
    let end = this.#edit.length;
    while (end > 0) {
      const start = this.#lastCharacter(end);
      if (isWord(this.#edit[start]!)) seen = true;
      else if (seen) break;
      end = start;
      count++;
    }
    return count;
  }
  #erase(characters: number): true {
    for (let i = 0; i < characters && this.#edit.length > 0; i++) {
      const start = this.#lastCharacter(this.#edit.length);
      const [first] = this.#edit.splice(start);
      if (!this.#has(t.ECHO)) continue;
      if (!this.#has(t.ECHOE)) this.#echoChar(this.#termios.cc[t.VERASE]!);
      else this.#write('\b \b'.repeat(this.#width(first!)));
    }
    return true;
  }
  #width(c: number): number {
    if (c === 9) return 1;
    return c < 32 || c === 127 ? (this.#has(t.ECHOCTL) ? 2 : 0) : 1;
  }
  #kill(): true {
    if (this.#has(t.ECHO) && this.#has(t.ECHOK) && this.#has(t.ECHOKE) && this.#has(t.ECHOE)) {
      return this.#erase(this.#edit.length);
    }
    this.#edit = [];
    this.#echoChar(this.#termios.cc[t.VKILL]!);
    if (this.#has(t.ECHO) && this.#has(t.ECHOK)) this.#write('\n');
    return true;
  }

  #echoChar(c: number): void {
    if (!this.#has(t.ECHO)) return;
    const control = (c < 32 && c !== 9 && c !== NEWLINE) || c === 127;
    if (control && this.#has(t.ECHOCTL)) this.#write(`^${String.fromCharCode(c ^ 0x40)}`);
    else this.#hooks.echo(Uint8Array.of(c));
  }
  #write(text: string): void {
    this.#hooks.echo(Buffer.from(text, 'latin1'));
  }
}
