/**
 * English words that do not describe image content; the same list as in
 * companion/src/patchlight/calibration/content_tokens.py. "Yes", "no", "not", numbers, and words of place other than
 * "in", "on" and "at" are left out, because questions ask about them.
 */
export const functionWords: ReadonlySet<string> = new Set(
  `a an the this that these those
  i you he she it we they me him her us them my your his its our their mine yours hers ours theirs
  myself yourself himself herself itself ourselves themselves
  who whom whose which what when where why how there here
  and or but nor so yet if then than as because while although though since unless until whether
  of to in on at by for with from into onto about
  am is are was were be been being do does did doing done have has had having
  will would shall should can could may might must
  also just very too such some any each every both all other another own same
  it's that's there's here's he's she's what's who's i'm you're we're they're i've you've we've they've
  i'll you'll he'll she'll we'll they'll`.split(/\s+/),
);
