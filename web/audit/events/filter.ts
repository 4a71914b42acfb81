/** What events are picked by; all of it as the server takes it. */
export interface Filter {
  readonly stream?: string;
  readonly type?: string;
  readonly actor?: string;
  readonly since?: string;
  readonly until?: string;
  readonly partition?: string;
}

const fields = ['stream', 'type', 'actor', 'since', 'until', 'partition'] as const;

/** Every type of event that there is. */
export const eventTypes = [
  'AuditRead',
  'AuditorAppointed',
  'AuditorDismissed',
  'ChatOpened',
  'FriendAdded',
  'MemberErased',
  'MessageSent',
  'MessagesRead',
  'RoomCreated',
  'UserErased',
  'UserRegistered',
  'UserWentOffline',
  'UserWentOnline',
] as const;

/** The filter in an address or a form; what is empty is left out. */
export function filterOf(given: Readonly<Record<string, string | undefined>>): Filter {
  const pairs = fields.flatMap((name) => {
    const value = given[name]?.trim();
    return value ? [[name, value] as const] : [];
  });
  return Object.fromEntries(pairs);
}
