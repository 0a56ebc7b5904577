// Package pkcs10 reads and builds certification requests (PKCS #10, RFC 2986).
//
// [Parse] checks and reads one request, [Build] makes one with a signature
// function of the caller. [CertificationRequest.RequestedExtensions] finds what
// RFC 2985 section 5.4.2 puts into an attribute. Requests are written back as
// they were read, octet for octet.
//
// The package does not verify signatures and knows no policy.
package pkcs10
