#include "lib/http_wire.h"

#include <openssl/ssl.h>

/* libcurl has no call for it. Reading goes on: SSL_shutdown ends only our direction. Should it
 * leave an error in OpenSSL's queue, libcurl empties that before its next read. */
void http_tls_end(void *ssl) {
    SSL_shutdown(ssl);
}
