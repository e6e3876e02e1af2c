// Helper functions that interpreter and translated code call: semantics too large to inline. Compiled by AssemblyScript
// at build time into a module that imports the guest's memory.
export * from './code';
export * from './flags';
export * from './integer';
export * from './strings';
export * from './cpuid';
export * from './segments';
export * from './sse42';
export * from './sse-nan';
export * from './sse-approx';
export * from './sse-store';
export * from './softfloat-sse';
export * from './mxcsr';
export * from './fxsave';
export * from './x87';
export * from './a64-flags';
export * from './a64-integer';
export * from './a64-system';
export * from './a64-float';
export * from './a64-simd';
export * from './a64-exact';
export * from './a64-crypto';
