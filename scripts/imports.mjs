// @ts-check
// Allowed imports in src; src/README.md shows them as a diagram.

/**
 * Allowed imports between folders, in addition to a folder's own files. `main` is src/main.tsx. A target is a folder,
 * or a pattern for those of its files that other folders may import.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const folders = {
  main: ['views/', 'state/', 'source/', 'inference/', 'statistics/'],
  gallery: ['views/', 'state/shared-zoom', 'statistics/', 'marks/', 'contract/', 'math/', 'theme/'],
  views: ['state/', 'marks/', 'statistics/api', 'contract/', 'math/', 'text/', 'theme/'],
  state: ['source/', 'statistics/api', 'contract/', 'math/', 'text/', 'theme/'],
  source: ['inference/[^/]*client', 'contract/', 'math/', 'text/'],
  inference: ['workers/', 'contract/', 'math/', 'text/'],
  statistics: ['workers/', 'contract/', 'math/', 'text/'],
  marks: ['math/', 'theme/'],
  contract: ['math/', 'text/'],
  workers: ['text/'],
  math: [],
  text: [],
  theme: [],
};

/**
 * Folders that are divided into rooms, with the allowed imports between the rooms.
 * @type {Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>}
 */
export const rooms = {
  views: {
    app: ['explain', 'compare', 'trust', 'shared'],
    explain: ['answer', 'ask', 'stage', 'shared'],
    compare: ['answer', 'ask', 'stage', 'shared'],
    answer: ['trust', 'shared'],
    trust: ['charts', 'shared'],
    ask: ['shared'],
    stage: ['shared'],
    charts: ['shared'],
    shared: [],
  },
  math: { maps: [], statistics: [], methods: [] },
};

/**
 * Packages that only some folders may import. A name is a regular expression.
 * @type {readonly { readonly names: readonly string[], readonly folders: readonly string[] }[]}
 */
export const packages = [
  {
    names: ['react', 'react-dom', 'react-aria', 'react-aria-components', '@react-[a-z]+/[^/]+'],
    folders: ['main', 'gallery', 'views', 'state'],
  },
  { names: ['zustand', 'idb'], folders: ['state'] },
  { names: ['onnxruntime-web', '@jsquash/webp'], folders: ['inference'] },
  { names: ['apache-arrow', 'flatbuffers', 'fzstd', 'hyparquet[a-z-]*', '@noble/hashes'], folders: ['contract'] },
  { names: ['zod'], folders: ['contract', 'main'] },
];

const tests = '\\.test\\.tsx?$';

/** URLs of package files, which Vite resolves itself. */
const viteUrl = '\\?url$';

/** @param {string} folder */
const within = (folder) => (folder === 'main' ? '^src/main\\.tsx$' : `^src/${folder}/`);

/** @type {import('dependency-cruiser').IForbiddenRuleType[]} */
const folderRules = Object.entries(folders).map(([folder, targets]) => ({
  name: `from-${folder}`,
  comment: `${folder} may import ${targets.join(', ') || 'no other folder'}`,
  severity: 'error',
  from: { path: within(folder) },
  to: { path: '^src/', pathNot: [within(folder), ...targets.map((target) => `^src/${target}`)] },
}));

/** @type {import('dependency-cruiser').IForbiddenRuleType[]} */
const roomRules = Object.entries(rooms).flatMap(([folder, arrows]) =>
  Object.entries(arrows).map(([room, targets]) => ({
    name: `from-${folder}-${room}`,
    comment: `${folder}/${room} may import ${targets.join(', ') || 'no other room'}`,
    severity: 'error',
    from: { path: `^src/${folder}/${room}/` },
    to: {
      path: `^src/${folder}/[^/]+/`,
      pathNot: [room, ...targets].map((target) => `^src/${folder}/${target}/`),
    },
  })),
);

/** @type {import('dependency-cruiser').IForbiddenRuleType[]} */
const packageRules = packages.map(({ names, folders: allowed }) => ({
  name: `only-in-${allowed.join('-')}`,
  comment: `only ${allowed.join(', ')} may import ${names.join(', ')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: [tests, ...allowed.map(within)] },
  // An import such as `onnxruntime-web/some.wasm?url` stays unresolved, so its path has no node_modules.
  to: { path: names.flatMap((name) => [`node_modules/(@types/)?${name}/`, `^${name}(/|$)`]) },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...folderRules,
    ...roomRules,
    ...packageRules,
    {
      name: 'known-folder',
      comment: 'every file of src is in a folder that has arrows, and every file of views in a room',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          ...Object.keys(folders)
            .filter((folder) => folder !== 'views')
            .map(within),
          `^src/views/(${Object.keys(rooms.views ?? {}).join('|')})/`,
        ],
      },
      to: {},
    },
    {
      name: 'no-cycle',
      comment: 'files do not import each other in a circle, types included',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'inside-src',
      comment: 'the page imports files of src and packages; tests may read other files',
      severity: 'error',
      from: { path: '^src/', pathNot: tests },
      to: { pathNot: ['^src/', 'node_modules/'], dependencyTypesNot: ['core'], couldNotResolve: false },
    },
    {
      name: 'no-node',
      comment: 'a browser has no modules of Node; tests may use them',
      severity: 'error',
      from: { path: '^src/', pathNot: tests },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'resolvable',
      comment: 'every import leads to a file',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true, pathNot: viteUrl },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'browser', 'default', 'types'] },
    combinedDependencies: false,
  },
};
