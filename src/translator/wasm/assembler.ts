/**
 * Writes Wasm modules: expressions as nodes in flat arrays, then their bytes in one walk. Translating guest code makes
 * millions of nodes; this takes a tenth of the time that a general compiler library needs to hold and write them.
 * Its interface is that of binaryen's JavaScript as far as op semantics use it, and they serve either.
 */
import type { Expr } from '../ir/expr.ts';
import { branchHints } from './branch-hints.ts';
import type { ValueType } from './builder.ts';
import { ByteWriter } from './byte-writer.ts';
import type { Body, Call, Func, Switch } from './nodes.ts';
import { type Opcode, opcodes, prefix } from './opcodes.ts';

/** Types of values, and `none`. As in binaryen, expressions that never give one count as `none`. */
export const types = { none: 0x40, i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;

// Kinds of nodes.
const PLAIN = 0; // opcode, up to three operands
const MEMORY = 1; // the same, with alignment and offset
const LANE = 2; // the same, with a lane number
const I32 = 3;
const I64 = 4;
const F32 = 5;
const F64 = 6;
const V128 = 7;
const SHUFFLE = 8;
const LOCAL_GET = 9;
const LOCAL_SET = 10;
const LOCAL_TEE = 11;
const GLOBAL_GET = 12;
const BLOCK = 13;
const LOOP = 14;
const IF = 15;
const BRANCH = 16;
const SWITCH = 17;
const CALL = 18;
const CALL_INDIRECT = 19;
const RETURN = 20;
const SET_ALL = 21;
const SELECT = 22;
const NOP = 23;
const UNREACHABLE = 24;
/** What is said of an IF's condition; 0: nothing. */
const [EVEN, UNLIKELY, LIKELY] = [1, 2, 3];

const NO = -1;
/** Where a memory access has the logarithm of its alignment, above the opcode. */
const ALIGNMENT = 24;

// biome-ignore lint/suspicious/noExplicitAny: namespaces made from the table of opcodes, nested like binaryen's.
type Namespace = any;

export class Assembler {
  readonly types = types;
  i32: Namespace = {};
  i64: Namespace = {};
  f32: Namespace = {};
  f64: Namespace = {};
  v128: Namespace = {};
  i8x16: Namespace = {};
  i16x8: Namespace = {};
  i32x4: Namespace = {};
  i64x2: Namespace = {};
  f32x4: Namespace = {};
  f64x2: Namespace = {};

  /** The same namespaces for accesses to guest memory: loads and stores add `guestOffset` to their own. */
  readonly guest: Record<string, Namespace> = {};
  guestOffset = 0;

  // Nodes, in columns.
  #size = 1 << 15;
  #count = 0;
  #kind = new Uint8Array(this.#size);
  #type = new Uint8Array(this.#size);
  #a = new Int32Array(this.#size);
  #b = new Int32Array(this.#size);
  #c = new Int32Array(this.#size);
  /** Opcode, or what else the kind has. */
  #code = new Int32Array(this.#size);
  #immediate = new Int32Array(this.#size);
  /** What has no place in a column. */
  readonly #more: unknown[] = [];
  /** Function types by their bytes. */
  readonly #signatures = new Map<string, number>();
  readonly #globals: string[] = [];
  readonly #imports: { name: string; signature: number }[] = [];
  /** Their sizes in slots; null: any. */
  readonly #tables: { name: string; signature: number; size: number | null }[] = [];
  readonly #functions: Func[] = [];
  readonly #exports: string[] = [];
  /** Constructs around the node being written, and which of them a label belongs to, counted from the outermost. */
  #nesting = 0;
  readonly #labels = new Map<string, number>();
  #indexOf = new Map<string, number>();
  #out = new ByteWriter();
  /** Where the function being written begins, and its conditions of which something is known, counted from there. */
  #start = 0;
  #hints: [number, boolean][] = [];

  constructor() {
    for (const op of opcodes) this.#define(op);
    Object.assign(this.i32, { const: (v: number) => this.#node(I32, types.i32, NO, NO, NO, 0, v | 0) });
    Object.assign(this.i64, { const: (v: bigint) => this.#with(I64, types.i64, v) });
    Object.assign(this.f32, { const: (v: number) => this.#with(F32, types.f32, v) });
    Object.assign(this.f64, { const: (v: number) => this.#with(F64, types.f64, v) });
    Object.assign(this.v128, { const: (v: ArrayLike<number>) => this.#with(V128, types.v128, v) });
    for (const space of ['i32', 'i64', 'f32', 'f64', 'v128'] as const) this.guest[space].const = this[space].const;
    Object.assign(this.i8x16, {
      shuffle: (a: Expr, b: Expr, lanes: ArrayLike<number>) => this.#with(SHUFFLE, types.v128, lanes, a, b),
    });
  }

  #define({ path, code, operands, result, immediate, bytes }: Opcode): void {
    const type = types[result];
    let f: (...args: number[]) => Expr;
    let guest: typeof f | null = null;
    if (immediate === 'memory') {
      const aligned = (align: number): number => code | ((31 - Math.clz32(align || bytes)) << ALIGNMENT);
      // Atomics have no say in alignment: offset, pointer, operands.
      if (code >>> 16 === prefix.atomic >>> 16)
        f = (offset, a, b = NO, c = NO) => this.#node(MEMORY, type, a!, b, c, aligned(bytes), offset!);
      else f = (offset, align, a, b = NO) => this.#node(MEMORY, type, a!, b, NO, aligned(align!), offset!);
      const plain = f;
      guest = (offset, ...rest) => plain(offset! + this.guestOffset, ...rest);
    } else if (immediate === 'lane') {
      if (operands === 1) f = (a, lane) => this.#node(LANE, type, a!, NO, NO, code, lane!);
      else f = (a, lane, b) => this.#node(LANE, type, a!, b!, NO, code, lane!);
    } else f = (a, b = NO, c = NO) => this.#node(PLAIN, type, a!, b, c, code, 0);
    const names = path.split('.');
    const enter = (root: Namespace, value: typeof f): void => {
      let at = root;
      for (const name of names.slice(0, -1)) at = at[name] ??= {};
      at[names.at(-1)!] = value;
    };
    enter(this, f);
    enter(this.guest, guest ?? f);
  }

  #node(kind: number, type: ValueType, a: Expr, b: Expr, c: Expr, code: number, immediate: number): Expr {
    const e = this.#count++;
    if (e === this.#size) this.#grow();
    this.#kind[e] = kind;
    this.#type[e] = type;
    this.#a[e] = a;
    this.#b[e] = b;
    this.#c[e] = c;
    this.#code[e] = code;
    this.#immediate[e] = immediate;
    return e;
  }
  #with(kind: number, type: ValueType, more: unknown, a: Expr = NO, b: Expr = NO): Expr {
    return this.#node(kind, type, a, b, NO, 0, this.#more.push(more) - 1);
  }
  #grow(): void {
    const size = this.#size * 2;
    const longer = <T extends Uint8Array | Int32Array>(old: T, fresh: T): T => {
      fresh.set(old);
      return fresh;
    };
    this.#kind = longer(this.#kind, new Uint8Array(size));
    this.#type = longer(this.#type, new Uint8Array(size));
    this.#a = longer(this.#a, new Int32Array(size));
    this.#b = longer(this.#b, new Int32Array(size));
    this.#c = longer(this.#c, new Int32Array(size));
    this.#code = longer(this.#code, new Int32Array(size));
    this.#immediate = longer(this.#immediate, new Int32Array(size));
    this.#size = size;
  }

  typeOf = (e: Expr): ValueType => this.#type[e]!;

  readonly local = {
    get: (index: number, type: ValueType): Expr => this.#node(LOCAL_GET, type, NO, NO, NO, 0, index),
    set: (index: number, value: Expr): Expr => this.#node(LOCAL_SET, types.none, value, NO, NO, 0, index),
    tee: (index: number, value: Expr, type: ValueType): Expr => this.#node(LOCAL_TEE, type, value, NO, NO, 0, index),
  };
  readonly global = {
    get: (name: string, type: ValueType): Expr => this.#with(GLOBAL_GET, type, name),
  };
  /** Without a label, no block at all: its children in a row. */
  block(label: string | null, children: readonly Expr[], type: ValueType = types.none): Expr {
    return this.#with(BLOCK, type, { label, children } satisfies Body);
  }
  loop(label: string, body: Expr): Expr {
    return this.#with(LOOP, types.none, { label, children: [body] } satisfies Body);
  }
  if(condition: Expr, then: Expr, otherwise: Expr = NO): Expr {
    const type = otherwise === NO ? types.none : this.typeOf(then);
    return this.#node(IF, type, condition, then, otherwise, 0, 0);
  }
  /** An `if` of the guest's own; of the two ways, those that are rare are named. */
  branch(condition: Expr, then: Expr, otherwise: Expr, rare: { first: boolean; second: boolean }): Expr {
    const hint = rare.first === rare.second ? EVEN : rare.first ? UNLIKELY : LIKELY;
    return this.#node(IF, types.none, condition, then, otherwise, hint, 0);
  }
  br(label: string, condition: Expr = NO): Expr {
    return this.#with(BRANCH, types.none, label, condition);
  }
  br_if(label: string, condition: Expr): Expr {
    return this.br(label, condition);
  }
  switch(labels: readonly string[], otherwise: string, index: Expr): Expr {
    return this.#with(SWITCH, types.none, { labels, otherwise } satisfies Switch, index);
  }
  select(condition: Expr, ifTrue: Expr, ifFalse: Expr): Expr {
    return this.#node(SELECT, this.typeOf(ifTrue), ifTrue, ifFalse, condition, 0, 0);
  }
  return(values: readonly Expr[]): Expr {
    return this.#with(RETURN, types.none, values);
  }
  call(name: string, args: readonly Expr[], type: ValueType): Expr {
    return this.#with(CALL, type, { name, args, signature: NO, tail: false } satisfies Call);
  }
  /** Calls what is in slot `target` of a table. */
  callIndirect(table: string, target: Expr, args: readonly Expr[], signature: number): Expr {
    return this.#with(CALL_INDIRECT, types.none, { name: table, args, signature, tail: false } satisfies Call, target);
  }
  returnCall(name: string, args: readonly Expr[]): Expr {
    return this.#with(CALL, types.none, { name, args, signature: NO, tail: true } satisfies Call);
  }
  returnCallIndirect(table: string, target: Expr, args: readonly Expr[], signature: number): Expr {
    return this.#with(CALL_INDIRECT, types.none, { name: table, args, signature, tail: true } satisfies Call, target);
  }
  /** The results of a call, into locals. */
  setAll(locals: readonly number[], call: Expr): Expr {
    return this.#with(SET_ALL, types.none, locals, call);
  }
  nop(): Expr {
    return this.#node(NOP, types.none, NO, NO, NO, 0, 0);
  }
  unreachable(): Expr {
    return this.#node(UNREACHABLE, types.none, NO, NO, NO, 0, 0);
  }

  /** Number of a function type. */
  signature(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${params} ${results}`;
    let known = this.#signatures.get(key);
    if (known === undefined) {
      known = this.#signatures.size;
      this.#signatures.set(key, known);
    }
    return known;
  }
  /** An immutable i32 of module `env`. */
  importGlobal(name: string): void {
    this.#globals.push(name);
  }
  /** A function of module `helpers`. */
  importFunction(name: string, params: readonly ValueType[], results: readonly ValueType[]): void {
    this.#imports.push({ name, signature: this.signature(params, results) });
  }
  /** A table of module `env`, of functions of one type, never null; of exactly `size` slots, or of any number. */
  importTable(name: string, signature: number, size: number | null = null): void {
    this.#tables.push({ name, signature, size });
  }
  addFunction(
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[],
    vars: readonly ValueType[],
    body: Expr,
  ): void {
    this.#functions.push({ name, signature: this.signature(params, results), vars, body });
  }
  addExport(name: string): void {
    this.#exports.push(name);
  }

  /** Forgets the module, to begin another. */
  reset(): void {
    this.#count = 0;
    this.#more.length = 0;
    this.#signatures.clear();
    this.#globals.length = 0;
    this.#imports.length = 0;
    this.#tables.length = 0;
    this.#functions.length = 0;
    this.#exports.length = 0;
  }

  /** The module's bytes. It imports the memory of module `env` when it has imported globals, which region modules do. */
  emitBinary(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    this.#out = out;
    this.#indexOf = new Map([...this.#imports, ...this.#functions].map(({ name }, k) => [name, k]));
    out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    this.#section(1, [...this.#signatures.keys()], (key) => {
      const [params, results] = key.split(' ').map((list) => (list === '' ? [] : list.split(',').map(Number)));
      out.byte(0x60);
      for (const list of [params!, results!]) {
        out.unsigned(list.length);
        out.bytes(list);
      }
    });
    this.#section(2, this.#importWriters(), (write) => write());
    this.#section(3, this.#functions, ({ signature }) => out.unsigned(signature));
    this.#section(7, this.#exports, (name) => {
      out.text(name);
      out.byte(0);
      out.unsigned(this.#functionIndex(name));
    });
    const beforeCode = out.length;
    const hinted: [number, [number, boolean][]][] = [];
    this.#section(10, this.#functions, (f) => {
      this.#hints = [];
      this.#function(f);
      if (this.#hints.length > 0) hinted.push([this.#functionIndex(f.name), this.#hints]);
    });
    // Names of functions, for profilers.
    out.byte(0);
    const size = out.reserve();
    out.text('name');
    this.#section(1, [...this.#indexOf], ([name, index]) => {
      out.unsigned(index);
      out.text(name);
    });
    out.fill(size);
    const module = out.take();
    const hints = branchHints(hinted);
    return Buffer.concat([module.subarray(0, beforeCode), hints, module.subarray(beforeCode)]);
  }
  #hint(e: Expr, offset: number): void {
    const given = this.#code[e];
    if (given === LIKELY) this.#hints.push([offset, true]);
    else if (given === UNLIKELY || (given === 0 && this.#isRare(this.#b[e]!, this.#type[e] === types.none)))
      this.#hints.push([offset, false]);
  }
  /** Whether a condition is likely to be false: it leads out of the function, or has a helper work out a rare value. */
  #isRare(then: Expr, alone: boolean): boolean {
    const more = this.#more[this.#immediate[then]!];
    switch (this.#kind[then]) {
      case RETURN:
        return true;
      case CALL:
      case CALL_INDIRECT:
        return (more as Call).tail || !alone;
      case PLAIN:
        return !alone && this.#a[then] !== NO && this.#isRare(this.#a[then]!, alone);
      case BLOCK: {
        const last = (more as Body).children.at(-1);
        return last !== undefined && this.#isRare(last, alone);
      }
      default:
        return false;
    }
  }
  #importWriters(): (() => void)[] {
    const out = this.#out;
    const named = (module: string, name: string): void => {
      out.text(module);
      out.text(name);
    };
    const memory = (): void => {
      named('env', 'memory');
      // Shared, all of its 65,536 pages.
      out.bytes([2, 3]);
      out.unsigned(65536);
      out.unsigned(65536);
    };
    const tables = this.#tables.map(({ name, signature, size }) => (): void => {
      named('env', name);
      // References to functions of one type, never null: then V8 need not look at a call what it finds.
      out.bytes([1, 0x64]);
      out.signed(signature);
      out.byte(size === null ? 0 : 1);
      out.unsigned(size ?? 0);
      if (size !== null) out.unsigned(size);
    });
    const globals = this.#globals.map((name) => (): void => {
      named('env', name);
      out.bytes([3, types.i32, 0]);
    });
    const functions = this.#imports.map(({ name, signature }) => (): void => {
      named('helpers', name);
      out.byte(0);
      out.unsigned(signature);
    });
    return [...(globals.length > 0 ? [memory] : []), ...tables, ...globals, ...functions];
  }
  #tableIndex(name: string): number {
    const index = this.#tables.findIndex((table) => table.name === name);
    if (index < 0) throw new Error(`no table ${name}`);
    return index;
  }
  #section<T>(id: number, items: readonly T[], write: (item: T) => void): void {
    if (items.length === 0) return;
    const out = this.#out;
    out.byte(id);
    const size = out.reserve();
    out.unsigned(items.length);
    for (const item of items) write(item);
    out.fill(size);
  }
  #functionIndex(name: string): number {
    const index = this.#indexOf.get(name);
    if (index === undefined) throw new Error(`no function ${name}`);
    return index;
  }

  #function({ vars, body }: Func): void {
    const out = this.#out;
    const size = out.reserve();
    this.#start = out.length;
    const runs: [number, ValueType][] = [];
    for (const type of vars) {
      const last = runs.at(-1);
      if (last?.[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    out.unsigned(runs.length);
    for (const [count, type] of runs) {
      out.unsigned(count);
      out.byte(type);
    }
    this.#expression(body);
    out.byte(0x0b);
    out.fill(size);
  }
  #depth(label: string): number {
    const at = this.#labels.get(label);
    if (at === undefined) throw new Error(`no label ${label} around`);
    return this.#nesting - 1 - at;
  }
  #opcode(code: number): void {
    const out = this.#out;
    if (code > 0xffff) {
      out.byte((code >>> 16) & 0xff);
      out.unsigned(code & 0xffff);
    } else out.byte(code);
  }
  #operands(e: Expr): void {
    const a = this.#a[e]!;
    const b = this.#b[e]!;
    const c = this.#c[e]!;
    if (a !== NO) this.#expression(a);
    if (b !== NO) this.#expression(b);
    if (c !== NO) this.#expression(c);
  }

  #expression(e: Expr): void {
    const out = this.#out;
    const immediate = this.#immediate[e]!;
    switch (this.#kind[e]) {
      case PLAIN:
        this.#operands(e);
        this.#opcode(this.#code[e]!);
        return;
      case MEMORY:
        this.#operands(e);
        this.#opcode(this.#code[e]! & ((1 << ALIGNMENT) - 1));
        out.unsigned(this.#code[e]! >>> ALIGNMENT);
        out.unsigned(immediate);
        return;
      case LANE:
        this.#operands(e);
        this.#opcode(this.#code[e]!);
        out.byte(immediate);
        return;
      case I32:
        out.byte(0x41);
        out.signed(immediate);
        return;
      case LOCAL_GET:
        out.byte(0x20);
        out.unsigned(immediate);
        return;
      case LOCAL_SET:
      case LOCAL_TEE:
        this.#expression(this.#a[e]!);
        out.byte(this.#kind[e] === LOCAL_SET ? 0x21 : 0x22);
        out.unsigned(immediate);
        return;
      case SELECT:
        this.#operands(e);
        out.byte(0x1b);
        return;
      case IF:
        this.#expression(this.#a[e]!);
        this.#hint(e, out.length - this.#start);
        out.byte(0x04);
        out.byte(this.#type[e]!);
        this.#nesting++;
        this.#expression(this.#b[e]!);
        if (this.#c[e] !== NO) {
          out.byte(0x05);
          this.#expression(this.#c[e]!);
        }
        this.#nesting--;
        out.byte(0x0b);
        return;
      case NOP:
        return;
      case UNREACHABLE:
        out.byte(0x00);
        return;
    }
    this.#special(e, this.#more[immediate]);
  }
  /** Kinds whose data lies in `#more`. */
  #special(e: Expr, more: unknown): void {
    const out = this.#out;
    switch (this.#kind[e]) {
      case I64:
        out.byte(0x42);
        this.#signed64(more as bigint);
        return;
      case F32:
        out.byte(0x43);
        out.bytes(new Uint8Array(new Float32Array([more as number]).buffer));
        return;
      case F64:
        out.byte(0x44);
        out.bytes(new Uint8Array(new Float64Array([more as number]).buffer));
        return;
      case V128:
        out.bytes([0xfd, 12]);
        out.bytes(more as ArrayLike<number>);
        return;
      case SHUFFLE:
        this.#operands(e);
        out.bytes([0xfd, 13]);
        out.bytes(more as ArrayLike<number>);
        return;
      case GLOBAL_GET:
        out.byte(0x23);
        out.unsigned(this.#globals.indexOf(more as string));
        return;
      case BLOCK:
      case LOOP: {
        const { label, children } = more as Body;
        if (label !== null) {
          out.byte(this.#kind[e] === BLOCK ? 0x02 : 0x03);
          out.byte(this.#type[e]!);
          this.#labels.set(label, this.#nesting++);
        }
        for (const child of children) this.#expression(child);
        if (label !== null) {
          this.#labels.delete(label);
          this.#nesting--;
          out.byte(0x0b);
        }
        return;
      }
      case BRANCH:
        this.#operands(e);
        out.byte(this.#a[e] === NO ? 0x0c : 0x0d);
        out.unsigned(this.#depth(more as string));
        return;
      case SWITCH: {
        const { labels, otherwise } = more as Switch;
        this.#operands(e);
        out.byte(0x0e);
        out.unsigned(labels.length);
        for (const label of labels) out.unsigned(this.#depth(label));
        out.unsigned(this.#depth(otherwise));
        return;
      }
      case SET_ALL:
        this.#operands(e);
        for (const local of (more as readonly number[]).toReversed()) {
          out.byte(0x21);
          out.unsigned(local);
        }
        return;
      case RETURN:
        for (const value of more as readonly Expr[]) this.#expression(value);
        out.byte(0x0f);
        return;
      case CALL: {
        const { name, args, tail } = more as Call;
        for (const arg of args) this.#expression(arg);
        out.byte(tail ? 0x12 : 0x10);
        out.unsigned(this.#functionIndex(name));
        return;
      }
      case CALL_INDIRECT: {
        const { name, args, signature, tail } = more as Call;
        for (const arg of args) this.#expression(arg);
        this.#operands(e);
        out.byte(tail ? 0x13 : 0x11);
        out.unsigned(signature);
        out.unsigned(this.#tableIndex(name));
        return;
      }
      default:
        throw new Error(`unknown kind ${this.#kind[e]}`);
    }
  }
  #signed64(value: bigint): void {
    const n = Number(value);
    // Most are small, and bigints slow.
    if (n >= -0x8000_0000 && n <= 0x7fff_ffff) this.#out.signed(n);
    else this.#out.signed64(BigInt.asIntN(64, value));
  }
}
