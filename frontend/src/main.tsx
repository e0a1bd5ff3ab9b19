import './styles/tokens.css';
import './styles/base.css';
import './styles/panel.css';
import './styles/menus.css';
import './styles/sessions.css';
import './styles/filters.css';
import './styles/session.css';
import './styles/live.css';
import './styles/wall.css';
import './styles/workers.css';
import './styles/launch.css';
import './ui/theme.ts';

import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { HashRouter } from 'react-router';

import { Panel } from './panel/Panel.tsx';
import { createQueryClient } from './hooks/queries.ts';

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={createQueryClient()}>
        {/* Routes are in the URL's fragment, so that no ingress or static server has to know them. */}
        <HashRouter>
          <Panel />
        </HashRouter>
      </QueryClientProvider>
    </StrictMode>,
  );
}
