import { startHttp } from '../support/http.js';
import { restContract } from './contract.js';

describe('REST over in-memory parts', () => restContract(() => startHttp()));
