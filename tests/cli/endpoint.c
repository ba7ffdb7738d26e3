/* Prints the endpoint that the environment means: what tests/cli/endpoint.bats compares with
 * docker's answer. */

#include "runner/engine/settings.h"

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    struct error err = ERROR_NULL;
    cleanup(engine_endpoint_settings_deinit) struct engine_endpoint_settings s =
        ENGINE_ENDPOINT_SETTINGS_NULL;
    if (engine_endpoint_resolve(NULL, &s, &err) < 0) {
        fprintf(stderr, "%s\n%s\n", err.text, err.hint);
        return error_exit_status(err.kind);
    }
    printf("%s %s\n", s.context, s.host);
    printf("%s tls=%d skip_verify=%d ca=%s cert=%s key=%s\n", s.origin, s.tls.on, s.tls.skip_verify,
           s.tls.ca_file ? s.tls.ca_file : "", s.tls.cert_file ? s.tls.cert_file : "",
           s.tls.key_file ? s.tls.key_file : "");
    return EXIT_SUCCESS;
}
