import common from '@zxcvbn-ts/language-common';

const COUNT = 3_000;

// The package lists them by how common they are, in lower case.
const passwords = new Set(common.dictionary['passwords-common'].slice(0, COUNT));

/** Is it among the 3,000 most common passwords, in whatever case? */
export const isCommonPassword = (password: string): boolean => passwords.has(password.toLowerCase());
