/** Output processing of a terminal (termios(3) c_oflag; drivers/tty/n_tty.c, do_output_char). */
import { ONLCR, OPOST, type Termios } from './termios.ts';

const OLCUC = 0o2;
const OCRNL = 0o10;
const ONOCR = 0o20;
const ONLRET = 0o40;
const TABDLY = 0o14000;
const XTABS = 0o14000;
const TAB_WIDTH = 8;
const BACKSPACE = 8;
const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const DELETE = 127;

export class OutputProcessor {
  /** Cursor column, for tabs and ONOCR. */
  #column = 0;

  /** What `bytes` become, within `room` bytes; `taken` is how many of them went in. */
  process(bytes: Uint8Array, { oflag }: Termios, room: number): { out: Uint8Array; taken: number } {
    if ((oflag & OPOST) === 0) {
      const taken = Math.min(bytes.length, room);
      return { out: bytes.slice(0, taken), taken };
    }
    const out: number[] = [];
    let taken = 0;
    for (const byte of bytes) {
      const before = out.length;
      const column = this.#column;
      this.#put(byte, oflag, out);
      if (out.length > room) {
        out.length = before;
        this.#column = column;
        break;
      }
      taken++;
    }
    return { out: Uint8Array.from(out), taken };
  }

  #put(byte: number, oflag: number, out: number[]): void {
    switch (byte) {
      case NEWLINE:
        if (oflag & (ONLRET | ONLCR)) this.#column = 0;
        if (oflag & ONLCR) out.push(RETURN);
        out.push(NEWLINE);
        return;
      case RETURN:
        if (oflag & ONOCR && this.#column === 0) return;
        if (oflag & OCRNL) {
          if (oflag & ONLRET) this.#column = 0;
          out.push(NEWLINE);
          return;
        }
        this.#column = 0;
        out.push(RETURN);
        return;
      case TAB: {
        const spaces = TAB_WIDTH - (this.#column % TAB_WIDTH);
        this.#column += spaces;
        if ((oflag & TABDLY) === XTABS) for (let i = 0; i < spaces; i++) out.push(SPACE);
        else out.push(TAB);
        return;
      }
      case BACKSPACE:
        if (this.#column > 0) this.#column--;
        out.push(byte);
        return;
      default:
        // Continuation bytes of UTF-8 take no column.
        if (byte >= SPACE && byte !== DELETE && (byte & 0xc0) !== 0x80) this.#column++;
        out.push(oflag & OLCUC && byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte);
    }
  }
}
