/** A process that runs the programs its parent names, one after the other, as `uktx run FLAGS PROGRAM` would. */
import { parseRun } from '../src/cli/parse-run.ts';
import { run } from '../src/cli/run.ts';

process.on('message', (program: string) => {
  run(parseRun([...process.argv.slice(2), program], process.env)!).then(
    (status) => process.send!({ status, error: null }),
    (e: Error) =>
      process.send!({ status: 70, error: `internal error: ${e.stack?.split('\n').slice(0, 3).join(' ') ?? e}` }),
  );
});
