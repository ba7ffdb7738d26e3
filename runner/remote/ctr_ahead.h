#pragma once

/*
 * Counter mode in larger steps than libssh2 takes. It calls libcrypto's EVP_Cipher for each 16
 * bytes, which costs more than the AES in it, several times over: 40 % of what a tunnel computes.
 * Counter mode needs nothing but the key to know its stream in advance, so this program has an
 * EVP_Cipher of its own, which the dynamic linker finds first: it asks libcrypto for 4 KiB of
 * stream at once and spends it 16 bytes at a time. Why this and nothing else: decision 0010.
 *
 * Only contexts that EVP_CipherInit began are treated so, which among those who live in this
 * program is libssh2 alone; whoever begins one like that ends it by EVP_CIPHER_CTX_free, or begins
 * it anew in the same way. A context belongs to the thread that began it, as libssh2's do to the
 * thread of their connection. Everything else is passed on. Should the linker find libcrypto's
 * functions first, everything works, only slower.
 */

/* Refers to it, so that it is part of the program. */
void ctr_ahead_link(void);
