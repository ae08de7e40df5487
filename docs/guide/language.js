// mdbook knows one language a book: pages of the German half say theirs here, for hyphenation and for screen readers.
if (/\/guide\/de\//.test(location.pathname)) {
  document.querySelector("main").lang = "de";
}
