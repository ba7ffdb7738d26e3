/* Hostile agents: the answer to a question for keys, or, behind a first byte `S`, for a signature.
 */

#include "runner/remote/agent.h"

#include "lib/cleanup.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    if (size > 0 && data[0] == 'S') {
        cleanup(buffer_deinit) struct buffer signature;
        buffer_init(&signature, AGENT_MESSAGE_SIZE_MAX);
        if (agent_read_signature(data + 1, size - 1, "ssh-ed25519", &signature, &err) == 0)
            assert(signature.size >= 4 + strlen("ssh-ed25519") + 4);
        return 0;
    }
    cleanup(agent_keys_deinit) struct agent_keys keys = AGENT_KEYS_NULL;
    if (agent_read_list(data, size, &keys, &err) == 0)
        assert(keys.count <= AGENT_KEYS_MAX);
    return 0;
}
