/** Bytes of a Wasm binary (core specification, section 5): a buffer that grows, and its integers. */
export class ByteWriter {
  #bytes = new Uint8Array(1 << 16);
  length = 0;

  #grow(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#grow();
    this.#bytes[this.length++] = value;
  }
  bytes(values: ArrayLike<number>): void {
    while (this.length + values.length > this.#bytes.length) this.#grow();
    this.#bytes.set(values, this.length);
    this.length += values.length;
  }
  /** Unsigned, up to 32 bits. */
  unsigned(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }
  /** Signed, of 32 bits. */
  signed(value: number): void {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.byte(rest & 0x7f);
  }
  /** Signed, of 64 bits. */
  signed64(value: bigint): void {
    let rest = value;
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest & 0x7fn));
  }
  text(value: string): void {
    const bytes = Buffer.from(value);
    this.unsigned(bytes.length);
    this.bytes(bytes);
  }
  /** Room for an unsigned integer that is known later; `fill` writes it. */
  reserve(): number {
    const at = this.length;
    for (let k = 0; k < 5; k++) this.byte(0);
    return at;
  }
  /** Writes at `at` how many bytes follow it. */
  fill(at: number): void {
    const value = this.length - at - 5;
    for (let k = 0; k < 5; k++) this.#bytes[at + k] = ((value >>> (7 * k)) & 0x7f) | (k < 4 ? 0x80 : 0);
  }
  /** A copy of what has been written. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }
}
