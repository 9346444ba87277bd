package realm

// Version is the version of the library, of the command line and of the Node packages, which are released together. It
// is the one place where the number stands for Go; tools/release holds js/sdk/package.json to it.
const Version = "0.1.0"
