// Helper functions that interpreter and translated code call: semantics too large to inline. Compiled by AssemblyScript
// at build time into a module that imports the guest's memory.
export * from './flags';
