/**
 * The names that Kafka allows for topics. For Spillway's own runtimes; unstable.
 */

/** Whether a name is a legal Kafka topic name. */
export const isTopicName = (name: string): boolean => /^(?!\.\.?$)[a-zA-Z0-9._-]{1,249}$/.test(name)
