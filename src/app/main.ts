import { setFlagsFromString } from 'node:v8';
import { serve } from './serve.js';

// V8 counts how many objects of a place in the code survive. After a moment of many open requests, it allocates all later
// ones of that place where only a full collection finds them. Then four times as much memory is marked each few seconds.
setFlagsFromString('--no-allocation-site-pretenuring');
await serve(process.env);
