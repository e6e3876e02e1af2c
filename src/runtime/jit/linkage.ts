/** What regions are linked with. */

/** What slots without a region hold: for functions that are called, and for what is jumped to. */
export interface Misses {
  call: WebAssembly.ImportValue;
  jump: WebAssembly.ImportValue;
}

/** Bound when the engine instantiates its modules. */
export interface RegionLinkage {
  imports: WebAssembly.Imports;
  /** The helpers among them are V8's optimised code. */
  optimised: boolean;
  table: WebAssembly.Table;
  misses: Misses;
  onFloatUse: () => void;
}

/** A number that a module is instantiated with. */
export const constant = (n: number): WebAssembly.Global => new WebAssembly.Global({ value: 'i32' }, n);

export const usesHelpers = (module: WebAssembly.Module): boolean =>
  WebAssembly.Module.imports(module).some((i) => i.module === 'helpers');
