declare module 'virtual:emoji-list/*' {
  const address: string;
  export default address;
}

declare module '*.json?first' {
  const texts: Readonly<
    Record<string, string | ((values: Readonly<Record<string, string | number>>) => string)>
  >;
  export default texts;
}
