/** What `--stats` says of translated regions; times in milliseconds. */
export class RegionStats {
  requested = 0;
  regions = 0;
  modules = 0;
  dropped = 0;
  failed = 0;
  guestInstructions = 0;
  wasmBytes = 0;
  translateMs = 0;
  compileMs = 0;
  linkMs = 0;
  maxQueue = 0;
}
