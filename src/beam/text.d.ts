/** The bundler and the test runner import these files as text. */
declare module "*.erl" {
  const source: string;
  export default source;
}
