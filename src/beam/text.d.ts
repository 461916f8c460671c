/** Files that the bundler and the test runner give as text. */
declare module "*.erl" {
  const source: string;
  export default source;
}
