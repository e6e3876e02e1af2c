/** From the host's strings to the guest's: one char per byte. */
import { utf8ToLatin1 } from '../kernel/mm/user-memory.ts';

/** A command-line word or variable as the guest's bytes. */
export const toGuest = utf8ToLatin1;

/** Variables that concern the host's Node or uktx and would only mislead the guest. */
const hidden = /^(UKTX_|NODE_|npm_)/;

/** The guest's environment: the host's, changed by `-e K=V` (set) and `-e K` (removed). */
export function guestEnvironment(changes: readonly string[], host: NodeJS.ProcessEnv): string[] {
  const variables = new Map<string, string>();
  for (const [name, value] of Object.entries(host))
    if (value !== undefined && !hidden.test(name)) variables.set(name, value);
  for (const change of changes) {
    const at = change.indexOf('=');
    if (at < 0) variables.delete(change);
    else variables.set(change.slice(0, at), change.slice(at + 1));
  }
  return [...variables].map(([name, value]) => toGuest(`${name}=${value}`));
}
