// Loads the bundle of the compile workers as bin/start.cjs does that of the command line, with the bytecode of what earlier runs
// needed of it: the first translations then take half the time.
const fs = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');
const vm = require('node:vm');
const { threadId, workerData } = require('node:worker_threads');

const folder = path.join(__dirname, '../dist/worker');
const file = `${folder}/compile.cjs`;
const codeFile = `${folder}/compile-${process.version}-${process.arch}.code`;
/** Length of what names the bundle, at the start of both files. */
const NAME = 20;
/** What stands before V8's part of the code file; a multiple of its alignment. */
const HEADER = 32;

const source = fs.readFileSync(file, 'latin1');
let code;
try {
  const whole = fs.readFileSync(codeFile);
  if (whole.latin1Slice(0, NAME) === source.slice(0, NAME)) code = whole.subarray(HEADER);
} catch {
  // Not there yet.
}
const tag = v8.cachedDataVersionTag();
const script = new vm.Script(source, {
  filename: file,
  cachedData: code,
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
// Other flags of V8 than the launcher's would have the file written again and again.
if (workerData.launched && (code === undefined || script.cachedDataRejected || process.env.UKTX_PRIME)) {
  /** Called once much has been translated. */
  workerData.saveCode = () => {
    workerData.saveCode = null;
    const temporary = `${codeFile}.${process.pid}-${threadId}`;
    try {
      // Flags are the process's: another worker may have changed some for the moment.
      if (v8.cachedDataVersionTag() !== tag) return;
      const header = Buffer.alloc(HEADER, 0);
      header.latin1Write(source.slice(0, NAME));
      fs.writeFileSync(temporary, Buffer.concat([header, script.createCachedData()]));
      fs.renameSync(temporary, codeFile);
    } catch {
      // A package that this user cannot write to: it works without.
      fs.rmSync(temporary, { force: true });
    }
  };
}
const bundle = { exports: {} };
script.runInThisContext()(bundle.exports, require, bundle, file, folder);
