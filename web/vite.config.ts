import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { compressed } from './build/compressed.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// The server is built before its pages, which list the types of event that it declares.
const { eventTypes }: { eventTypes: readonly string[] } = await import(here('../dist/src/domain/events.js'));

/** Two pages, the chat and the audit console, of which each loads only what it needs. */
export default defineConfig({
  root: here('.'),
  plugins: [compressed()],
  define: { EVENT_TYPES: JSON.stringify([...eventTypes].sort()) },
  build: {
    outDir: here('../dist/pages'),
    emptyOutDir: true,
    target: 'es2022',
    // The policy allows scripts and styles of this server only: nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { index: here('index.html'), audit: here('audit.html') } },
  },
});
