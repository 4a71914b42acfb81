declare module 'virtual:emoji-list/*' {
  const address: string;
  export default address;
}
