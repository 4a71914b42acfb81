/** Whether a request that is refused with this code may be granted when it is sent again. */
export const isPassing = (code: string): boolean => code === 'overloaded' || code === 'unknown';
