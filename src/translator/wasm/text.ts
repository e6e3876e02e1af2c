/** Wasm text of a translated module, for people. */
import binaryen from 'binaryen';
import { features } from './optimise.ts';

/** All of a module, in the folded form. */
export function moduleText(bytes: Uint8Array): string {
  const m = binaryen.readBinary(bytes);
  try {
    m.setFeatures(features);
    return m.emitText();
  } finally {
    m.dispose();
  }
}
