// Loads the bundle of the compile workers, as bin/start.cjs does that of the command line: with bytecode the first translations
// take half the time.
const path = require('node:path');
const vm = require('node:vm');
const { threadId, workerData } = require('node:worker_threads');
const { load } = require('./bytecode.cjs');

const folder = path.join(__dirname, '../dist/worker');
const { script, save } = load(`${folder}/compile`, `${process.pid}-${threadId}`, {
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
// Other flags of V8 than the launcher's would have the file written again and again.
if (save && workerData.launched) {
  /** Called once much has been translated. */
  workerData.saveCode = () => {
    workerData.saveCode = null;
    save();
  };
}
const bundle = { exports: {} };
script.runInThisContext()(bundle.exports, require, bundle, `${folder}/compile.cjs`, folder);
