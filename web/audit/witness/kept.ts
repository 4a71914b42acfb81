import type { Memory } from './memory.js';

const KEY = 'parley.audit.witness';

/** What is remembered now. Text that is not ours is as none. */
export function loadMemory(): Memory {
  try {
    // Only `changeMemory` writes there.
    const memory = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Memory | null;
    if (memory?.partitions && memory.alarms) return memory;
  } catch {
    // Not JSON: nothing is remembered.
  }
  return { partitions: {}, alarms: [] };
}

/** Changes what is remembered by what it is at this moment: other tabs do so too. */
export function changeMemory(change: (memory: Memory) => Memory): void {
  localStorage.setItem(KEY, JSON.stringify(change(loadMemory())));
}

/** Calls back when another tab has changed it; what is returned stops that. */
export function onMemoryChange(listener: () => void): () => void {
  const heard = ({ key }: StorageEvent): void => {
    if (key === KEY || key === null) listener();
  };
  addEventListener('storage', heard);
  return () => removeEventListener('storage', heard);
}
