/** Signs up, signs in and reads with a client whose types are generated: `node client.js http://127.0.0.1:3000`. */
import createClient from 'openapi-fetch';
import type { components, paths } from './openapi.js';

declare const process: { readonly argv: readonly string[] }; // Of Node, whose types are not installed here.

const baseUrl = process.argv[2] ?? 'http://127.0.0.1:3000';
const api = createClient<paths>({ baseUrl });
const body = { username: 'generated', password: 'a mild autumn evening' };

const signedUp = await api.POST('/user', { body });
if (signedUp.error) throw new Error(`${signedUp.error.code}: ${signedUp.error.detail}`);

const wrong = await api.POST('/user/signin', { body: { ...body, password: 'another evening' } });
console.log(`a wrong password is ${wrong.error?.code}`);

const signedIn = await api.POST('/user/signin', { body });
if (signedIn.error) throw new Error(`${signedIn.error.code}: ${signedIn.error.detail}`);
const { token, user } = signedIn.data;

const headers = { Authorization: `Bearer ${token}` };
const read = await api.GET('/user/{userId}', { params: { path: { userId: user.userId } }, headers });
const me: components['schemas']['User'] | undefined = read.data?.user;
const chats: number | undefined = read.data?.activeChats?.length;
console.log(`read ${me?.username}, who has ${chats} chats`);

// @ts-expect-error: a body without its password does not compile.
const refused = await api.POST('/user/signin', { body: { username: 'generated' } });
console.log(`a field that is missing is ${refused.error?.code}: ${refused.error?.fields?.[0]?.path}`);
