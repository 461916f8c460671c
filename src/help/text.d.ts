/** Files that the bundler and the test runner give as text. */
declare module "*.md" {
  const text: string;
  export default text;
}
