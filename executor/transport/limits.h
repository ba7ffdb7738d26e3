#pragma once

/* What strangers, clients and peers can make a replica hold. */

enum {
    /* Connections at a time, peers included. Many clients share one. For one more, those who have
     * not proven who they are make room in turns: strangers that say nothing keep nobody out. */
    TRANSPORT_CONNECTIONS_MAX = 4096,
    /* Descriptors that are not for connections, or half of them all if there are not twice as many:
     * the store opens files while it works, and fails for good where it cannot. */
    TRANSPORT_FILES_LEFT = 768,
    /* Frames begun and not yet complete, of all connections together: a slow sender of large
     * frames costs no more than this. Peers have room for one each beyond it: no client keeps them
     * out. */
    TRANSPORT_PARTIAL_BYTES_MAX = 256 * 1024 * 1024,
    /* Body of each of the two frames that a stranger may send, and of the answer to them. */
    TRANSPORT_HELLO_BODY_MAX = 512,
    /* Answers that a client does not fetch; then it is disconnected. */
    TRANSPORT_CLIENT_QUEUE_MAX = 16 * 1024 * 1024,
    /* The same of all clients together; then the one that has most of it is disconnected. */
    TRANSPORT_CLIENTS_QUEUE_MAX = 256 * 1024 * 1024,
    /* What waits for a peer; the core's window is smaller. */
    TRANSPORT_PEER_QUEUE_MAX = 512 * 1024 * 1024,
    /* HELLO must be complete this long after the connection. */
    TRANSPORT_HELLO_MS = 5000,
    /* A frame that has begun must be complete by then. */
    TRANSPORT_FRAME_MS = 30000,
    /* Between attempts to reach a peer, doubled up to the maximum, with jitter. */
    TRANSPORT_RETRY_MS_MIN = 50,
    TRANSPORT_RETRY_MS_MAX = 2000,
    /* A connection whose other side does not acknowledge anything (power cut) is given up. */
    TRANSPORT_DEAD_MS = 10000,
    TRANSPORT_BACKLOG = 1024,
};
